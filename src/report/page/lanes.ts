// Lanes of the timeline, ready to be drawn at any zoom: each track holds events that do not overlap, with the sum of
// their busy time, so that the busy part of any pixel costs two look-ups however many events it covers.
import type { Events } from "./packed";

export interface Track {
  events: Uint32Array; // by start
  busyBefore: Float64Array; // sum over earlier events, femtoseconds
}

export interface Lane {
  name: string;
  dma: boolean;
  tracks: Track[];
}

function trackOf(events: Events, ids: number[] | Uint32Array): Track {
  const list = Uint32Array.from(ids);
  const busyBefore = new Float64Array(list.length + 1);
  for (let k = 0; k < list.length; ++k) {
    busyBefore[k + 1] = busyBefore[k]! + events.until[list[k]!]! - events.start[list[k]!]!;
  }
  return { events: list, busyBefore };
}

// An event goes to the first track that is free at its start.
export function makeLanes(names: { name: string; dma: boolean }[], events: Events): Lane[] {
  return names.map(({ name, dma }, lane) => {
    const tracks: { ids: number[]; free: number }[] = [];
    for (let i = events.laneBegin[lane]!; i < events.laneBegin[lane + 1]!; ++i) {
      let track = tracks.find((t) => t.free <= events.start[i]!);
      if (!track) tracks.push((track = { ids: [], free: 0 }));
      track.ids.push(i);
      track.free = events.until[i]!;
    }
    return { name, dma, tracks: tracks.map((t) => trackOf(events, t.ids)) };
  });
}

// The first event of the track, from `from` on, that is not over at `time`.
export function firstAfter(track: Track, events: Events, time: number, from = 0): number {
  let step = 1;
  let low = from;
  const size = track.events.length;
  while (low + step < size && events.until[track.events[low + step]!]! <= time) {
    low += step;
    step *= 2;
  }
  let high = Math.min(size, low + step + 1);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events.until[track.events[middle]!]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Busy time of the track before `time`; `k` is firstAfter(time).
export function busyUntil(track: Track, events: Events, time: number, k: number): number {
  if (k >= track.events.length) return track.busyBefore[k]!;
  return track.busyBefore[k]! + Math.max(0, time - events.start[track.events[k]!]!);
}

// The event of the lane at `time`, or the nearest one within `tolerance`; -1: none. `part`: how far down the lane.
export function eventAt(lane: Lane, events: Events, time: number, tolerance: number, part: number): number {
  let best = -1;
  let bestDistance = tolerance;
  const wanted = Math.min(lane.tracks.length - 1, Math.floor(part * lane.tracks.length));
  lane.tracks.forEach((track, index) => {
    const k = firstAfter(track, events, time);
    for (const near of [k - 1, k]) {
      const event = track.events[near];
      if (event === undefined) continue;
      const away = Math.max(0, events.start[event]! - time, time - events.until[event]!);
      const distance = away + (index === wanted ? 0 : tolerance * 0.01);
      if (distance <= bestDistance) [best, bestDistance] = [event, distance];
    }
  });
  return best;
}
