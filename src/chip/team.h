// Threads that share the parts of one instruction. Its thread calls share(); others lend themselves with help(). Parts
// write different places, so that no result depends on who computes what.
#pragma once
#include <atomic>
#include <cstdint>

namespace presil::chip {

class Team {
 public:
  // body(part) for every part in [0, parts), parts < 2^16, in any order, by this thread and the helpers that there are.
  // One thread at a time.
  template <class Body>
  void share(uint32_t parts, Body&& body) {
    run(
        parts, [](void* b, uint32_t part) { (*static_cast<std::remove_reference_t<Body>*>(b))(part); }, &body);
  }
  bool has_helpers() const { return helpers_.load(std::memory_order_relaxed) > 0; }

  // Takes parts until close().
  void help();
  void close();

 private:
  using Part = void (*)(void* body, uint32_t part);
  void run(uint32_t parts, Part function, void* body);
  bool take_part(uint64_t offer);

  // Number of the job (32 bits), its parts, the next part to take: a part is taken by raising the last. While one is
  // unfinished, the job stays.
  std::atomic<uint64_t> offer_{0};
  std::atomic<uint32_t> done_{0}, helpers_{0};
  std::atomic<bool> closed_{false};
  Part function_ = nullptr;
  void* body_ = nullptr;
};

}  // namespace presil::chip
