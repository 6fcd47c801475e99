#include "validate/suite.h"

namespace presil::validate {

std::vector<Contradiction> contradictions() {
  return {
      {"DMA rate of trn1",
       "K05 and K07 move 103 to 105 GB/s; the documents give 17 B/ns per engine, 272 GB/s per core, and whole models "
       "need more than 103 GB/s (bert-base at batch 1 reads 170 MB of encoder weights in 0.94 ms)",
       "two rates: one queue on one engine is bound by latency (dma.queue_bandwidth, fitted), an engine by its "
       "documented rate"},
      {"Least time per transfer",
       "the D rows show about 860 ns for transfers up to 2 KiB per partition (trn2, not stated); K05 on trn1 leaves at "
       "most 321 ns for its "
       "lhsT tiles of 32 KiB",
       "dma.transfer_floor is 866 ns on trn2 and 0 on trn1"},
      {"Cost of a descriptor",
       "I11 gives 1.0 ns besides the documented rate for rows of 256 B, K02P 3.7 ns for rows of 2 KiB",
       "one value between, fitted to both: I11 comes out 0.5 % high, K02P 3 % low"},
      {"Curve of the D rows",
       "D02 and D05 are met by a floor of 857 to 861 ns, D07 by 880 ns, which is more than its data takes",
       "the least-squares floor; D07 stays 1.6 % off"},
      {"Start of a DMA transfer",
       "I09 and I13 show 739 and 628 ns from trigger to data; the bandwidth guide says about 1300 ns from semaphore to "
       "start, the "
       "architecture guide about 600 ns for a hardware-generated descriptor",
       "the measured values, by source memory; they are those of the dynamic queue"},
      {"One load of 32 KiB (I10, I11)",
       "the engines start up to 370 ns apart, one engine is active for 165 ns, the others for 82 to 100 ns",
       "descriptors are dispatched one after another (dma.dispatch_per_descriptor), equal shares take equal time; the "
       "slow one is ignored"},
      {"Fixed time of the scalar engine",
       "I15 needs 294 ns on trn2, I19 158 ns on trn1; the guide speaks of about 100 cycles (71 ns)",
       "scalar.latency per generation"},
      {"Fixed time of the vector engine", "I32 needs 167 ns on trn2, I23 339 ns on trn1, of 14,968 ns",
       "one value for both, fitted by relative error, so that I32 decides"},
      {"Fixed time of the tensor engine",
       "I22 (trn1, 2.8 GHz) and I30 (trn2, 2.4 GHz) agree in nanoseconds, not in cycles",
       "tensor.latency is a time, common to both"},
      {"Interval of short matmuls",
       "the instruction's page says max(min(64, M), N) cycles, the architecture guide max(N, 64)",
       "max(N, 64): the shorter one would contradict the least interval"},
      {"MATMUL of fp32", "1029 cycles per instruction of 512 columns (I28), while the cost formula gives 1024",
       "tensor.issue_overhead, 5 cycles for every instruction, also for other types (assumed)"},
      {"K05", "time and utilization on its page are from separate runs: 51.80 ms is 11.6 % of peak, printed 10.98 %",
       "the time is the row"},
      {"HBM bandwidth of trn2",
       "3 TB/s, 2.9 TB/s and 46.4/16 TB/s per chip in three places; 716.8 GB/s per stack from a profile",
       "2.9 TB/s: 725 GB/s per stack; one core alone is bound by its DMA engines, 368 GB/s"},
      {"DMA engine rate", "27.2 GB/s, 27 GiB/s and a sustained 23 B/ns on trn2", "the sustained figure"},
      {"Strides of exactly 16 B", "full rate below 16 B, half rate above; 16 B itself is left open",
       "half rate from 16 B on"},
  };
}

}  // namespace presil::validate
