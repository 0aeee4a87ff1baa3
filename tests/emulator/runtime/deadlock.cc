/* What threads that meet must agree on, and what is said when they never do. */
#include "deadlock.h"

namespace emulator {
namespace {

std::string lane_list(uint32_t lanes) {
  std::string text;
  for (int lane = 0; lane < warp_lanes; lane++)
    if ((lanes >> lane & 1) != 0) text += (text.empty() ? "" : ", ") + std::to_string(lane);
  return text;
}

/* "thread (0,0,0) and 15 others wait in __syncthreads"; "" when no thread is in that state. */
std::string group_text(const Block &block, const std::string &doing) {
  const Thread *first = nullptr;
  int count = 0;
  for (const Thread &thread : block.all) {
    std::string text = thread.state == State::ended ? "ended" : std::string("in ") + thread.what;
    if (text != doing) continue;
    if (first == nullptr) first = &thread;
    count++;
  }
  if (first == nullptr) return "";
  std::string text = "thread " + index_text(first->index);
  if (count > 1) text += " and " + std::to_string(count - 1) + (count == 2 ? " other" : " others");
  bool many = count > 1;
  if (doing == "ended") return text + (many ? " have ended" : " has ended");
  return text + (many ? " wait " : " waits ") + doing;
}

std::string describe_deadlock(const Fault &fault) {
  const Block &block = *fault.thread->block;
  std::vector<std::string> kinds;
  for (const Thread &thread : block.all) {
    std::string text = thread.state == State::ended ? "ended" : std::string("in ") + thread.what;
    bool known = false;
    for (const std::string &kind : kinds) known = known || kind == text;
    if (!known) kinds.push_back(text);
  }
  std::string groups;
  for (const std::string &kind : kinds) groups += (groups.empty() ? "" : "; ") + group_text(block, kind);
  return "deadlock in kernel '" + running_kernel() + "', block " + index_text(block.index) + ": " + groups;
}

/* fault.bytes: the lanes in question. */
enum { lane_not_in_mask, lanes_ended, source_outside, lanes_disagree, barriers_disagree, not_cooperative };

std::string describe_meeting(const Fault &fault) {
  std::string lanes = lane_list((uint32_t)fault.bytes);
  std::string what = fault.thread->what != nullptr ? fault.thread->what : "";
  const std::string why[] = {
      "its own lane is not in the mask",
      "lanes of the mask have ended and never come: " + lanes,
      "it reads a lane that is not in the mask: " + lanes,
      "lanes of the mask wait in another operation or with another mask: " + lanes,
      "another thread waits in a different kind of barrier",
      "the launch is not cooperative",
  };
  const char *kinds[] = {"warp operation", "warp operation",    "warp operation",
                         "warp operation", "divergent barrier", "grid barrier"};
  return std::string(kinds[fault.kind]) + " " + what + " in " + thread_text(*fault.thread) + ": " +
         why[fault.kind];
}

Fault meeting_fault(const Thread &self, int kind, uint32_t lanes) {
  cudaError_t error = kind == not_cooperative ? cudaErrorLaunchFailure : cudaErrorLaunchTimeout;
  return {error, describe_meeting, &self, kind, lanes, false, false, nullptr, nullptr, 0, -1};
}

} // namespace

std::string index_text(const uint3 &index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," + std::to_string(index.z) + ")";
}

std::string thread_text(const Thread &thread) {
  return "kernel '" + running_kernel() + "', block " + index_text(thread.block->index) + ", thread " +
         index_text(thread.index);
}

void check_warp_mask(const Thread &self, bool shuffle) {
  const Warp &warp = self.block->warps[self.rank / warp_lanes];
  uint32_t missing = self.block->threads - self.rank / warp_lanes * warp_lanes >= warp_lanes
                         ? 0
                         : ~0u << self.block->threads % warp_lanes;
  if ((self.mask >> self.rank % warp_lanes & 1) == 0) abandon(meeting_fault(self, lane_not_in_mask, 0));
  uint32_t gone = self.mask & (warp.ended | missing);
  if (gone != 0) abandon(meeting_fault(self, lanes_ended, gone));
  if (shuffle && (self.source < 0 || self.source >= warp_lanes || (self.mask >> self.source & 1) == 0))
    abandon(meeting_fault(self, source_outside, 1u << (self.source & (warp_lanes - 1))));
}

void check_warp_agrees(const Thread &self, const Thread *lanes) {
  uint32_t others = 0;
  for (int lane = 0; lane < warp_lanes; lane++)
    if ((self.mask >> lane & 1) != 0 && (lanes[lane].mask != self.mask || lanes[lane].what != self.what))
      others |= 1u << lane;
  if (others != 0) abandon(meeting_fault(self, lanes_disagree, others));
}

void check_barrier_agrees(const Thread &self) {
  for (const Thread &thread : self.block->all)
    if (thread.what != self.what) abandon(meeting_fault(self, barriers_disagree, 0));
}

Fault deadlock_of(const Block &block) {
  return {cudaErrorLaunchTimeout,
          describe_deadlock,
          block.all.data(),
          0,
          0,
          false,
          false,
          nullptr,
          nullptr,
          0,
          -1};
}

Fault plain_grid_sync(const Thread &self) { return meeting_fault(self, not_cooperative, 0); }

} // namespace emulator
