#include "chip/happens_before.h"

#include <algorithm>

#include "base/check.h"
#include "isa/control.h"

namespace presil::chip {
namespace {

void join(std::span<uint32_t> into, std::span<const uint32_t> from) {
  for (size_t k = 0; k < into.size(); ++k) into[k] = std::max(into[k], from[k]);
}

}  // namespace

HappensBefore::HappensBefore(const isa::Executable& executable, const spec::ChipSpec& spec)
    : exe_(executable),
      engines_(static_cast<uint32_t>(executable.queues.size())),
      agents_(engines_),
      dma_engines_(spec.dma.engines),
      dma_queues_(spec.dma.queues),
      dma_agents_(size_t{engines_} * spec.dma.queues, UINT32_MAX),
      semaphores_(size_t{executable.semaphores} * executable.lnc) {
  for (uint32_t q = 0; q < engines_; ++q) {
    const uint32_t core = executable.queues[q].core;
    // Nobody knows when a queue with branches ends: it never does.
    const bool open = isa::has_control(executable.queues[q]);
    left_.push_back(open ? UINT64_MAX : isa::executed_count(executable.queues[q]));
    for (const isa::Wait& wait : executable.queues[q].waits) {
      std::vector<uint32_t>& waiters = semaphores_[semaphore_number(executable, core, wait.semaphore)].waiters;
      if (waiters.empty() || waiters.back() != q) waiters.push_back(q);
    }
    for (const isa::Instruction& i : executable.queues[q].code) {
      uint32_t agent = q;
      if (isa::is_dma(i.opcode)) {
        uint32_t& dma = dma_agents_[q * dma_queues_ + i.dma_queue];
        if (dma == UINT32_MAX) dma = agents_++;
        agent = dma;
      }
      for (uint32_t number : raised_by(executable, core, i)) {
        auto& raisers = semaphores_[number].raisers;
        if (std::find(raisers.begin(), raisers.end(), std::pair(q, agent)) == raisers.end())
          raisers.push_back({q, agent});
      }
    }
  }
  clocks_.resize(size_t{agents_} * agents_);
  numbers_.resize(agents_);
}

void HappensBefore::wait(Site site, uint16_t semaphore, uint32_t value) {
  const uint32_t number = semaphore_number(exe_, exe_.queues[site.queue].core, semaphore);
  std::deque<Batch>& batches = semaphores_[number].batches;
  auto after = std::partition_point(batches.begin(), batches.end(), [&](const Batch& b) { return b.total <= value; });
  if (after == batches.begin()) return;  // inside the first, or what everybody knows
  Batch& last = *std::prev(after);
  if (last.relied.queue == UINT32_MAX) last.relied = site;
  join(clock(site.queue), last.clock);
}

Epoch HappensBefore::step(Site site, std::vector<Ambiguity>* ambiguities) {
  --left_[site.queue];
  Epoch epoch{site.queue, ++numbers_[site.queue]};
  raise(site, epoch, 1, ambiguities);
  return epoch;
}

Epoch HappensBefore::transfer(Site site, std::vector<Ambiguity>* ambiguities) {
  --left_[site.queue];
  ++numbers_[site.queue];
  const uint32_t agent = dma_agents_[site.queue * dma_queues_ + at(site).dma_queue];
  Epoch epoch{agent, ++numbers_[agent]};
  join(clock(epoch.agent), clock(site.queue));
  raise(site, epoch, dma_engines_, ambiguities);
  return epoch;
}

// Is the whole batch complete before anything that `queue` starts now can raise the semaphore? Increments of one engine
// are in order among themselves.
bool HappensBefore::follows(const Batch& batch, uint32_t queue, uint32_t agent) const {
  auto before = [&](const Epoch& e) { return (e.agent == agent && is_engine(agent)) || complete(e, queue); };
  return before(batch.first) && std::all_of(batch.more.begin(), batch.more.end(), before);
}

void HappensBefore::raise(Site site, Epoch epoch, uint32_t count, std::vector<Ambiguity>* ambiguities) {
  for (uint32_t number : raised_by(exe_, exe_.queues[site.queue].core, at(site)))
    raise(site, epoch, number, count, ambiguities);
}

void HappensBefore::raise(Site site, Epoch epoch, uint32_t number, uint32_t count,
                          std::vector<Ambiguity>* ambiguities) {
  Semaphore& s = semaphores_[number];
  s.total += count;
  if (!s.batches.empty() && !follows(s.batches.back(), site.queue, epoch.agent)) {
    join_last(s, site, epoch, at(site).signal, ambiguities);
  } else {
    forget(s);
    Batch& batch = s.batches.emplace_back();
    if (!spare_.empty()) batch.clock = std::move(spare_.back()), spare_.pop_back();
    batch.clock.assign(clock(epoch.agent).begin(), clock(epoch.agent).end());
    batch.first = epoch;
  }
  Batch& batch = s.batches.back();
  batch.clock[epoch.agent] = std::max(batch.clock[epoch.agent], epoch.number);
  batch.total = s.total;
}

// Every batch that the new increment could overtake becomes one with it.
void HappensBefore::join_last(Semaphore& s, Site site, Epoch epoch, uint16_t semaphore,
                              std::vector<Ambiguity>* ambiguities) {
  Batch joined = std::move(s.batches.back());
  while (true) {
    s.batches.pop_back();
    if (joined.relied.queue != UINT32_MAX && ambiguities != nullptr) {
      ambiguities->push_back({joined.relied, site, semaphore});
    }
    if (s.batches.empty() || follows(s.batches.back(), site.queue, epoch.agent)) break;
    Batch& earlier = s.batches.back();
    join(joined.clock, earlier.clock);
    joined.more.push_back(earlier.first);
    joined.more.insert(joined.more.end(), earlier.more.begin(), earlier.more.end());
    joined.relied = earlier.relied;
  }
  join(joined.clock, clock(epoch.agent));
  joined.more.push_back(epoch);
  s.batches.push_back(std::move(joined));
}

// Batches that every possible waiter and raiser knows to be complete can be told from no batch by nobody. One stays:
// the next batch is compared with it.
void HappensBefore::forget(Semaphore& s) {
  auto known = [&](const Batch& batch) {
    return std::all_of(s.waiters.begin(), s.waiters.end(),
                       [&](uint32_t q) { return left_[q] == 0 || follows(batch, q, UINT32_MAX); }) &&
           std::all_of(s.raisers.begin(), s.raisers.end(),
                       [&](const auto& r) { return left_[r.first] == 0 || follows(batch, r.first, r.second); });
  };
  while (s.batches.size() > 1 && known(s.batches.front())) {
    spare_.push_back(std::move(s.batches.front().clock));
    s.batches.pop_front();
  }
}

void HappensBefore::known_to_all(std::vector<uint32_t>& complete, std::vector<uint32_t>& to_others) const {
  complete.assign(agents_, UINT32_MAX);
  to_others.assign(agents_, UINT32_MAX);
  for (uint32_t q = 0; q < engines_; ++q) {
    if (left_[q] == 0) continue;
    std::span<const uint32_t> row = clock(q);
    for (uint32_t a = 0; a < agents_; ++a) {
      complete[a] = std::min(complete[a], row[a]);
      if (a != q) to_others[a] = std::min(to_others[a], row[a]);
    }
  }
}

}  // namespace presil::chip
