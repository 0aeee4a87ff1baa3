// What ebb says where CUDA finds nothing to run on, or less memory than a model needs; each in a process of
// its own, because the emulated device reads its environment once.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "ebb/device.h"

namespace {

[[noreturn]] void say_error() {
  std::fputs(ebb_error(), stderr);
  _exit(0);
}

TEST(EmulatorMissing, AMachineWithoutAGpuIsNamed) {
  EXPECT_EXIT(
      {
        setenv("EBB_EMULATOR_DEVICES", "0", 1);
        EbbDevice *device = nullptr;
        if (ebb_device_open("cuda", 1, &device) != EBB_OK) say_error();
      },
      testing::ExitedWithCode(0), "device 'cuda': this machine has no GPU that CUDA can use; use device=cpu");
}

TEST(EmulatorMissing, MemoryThatIsNotThereIsNamedWithItsSizes) {
  EXPECT_EXIT(
      {
        setenv("EBB_EMULATOR_MEMORY_MIB", "64", 1);
        EbbDevice *device = nullptr;
        void *memory = nullptr;
        if (ebb_device_open("cuda", 1, &device) != EBB_OK ||
            ebb_device_alloc(device, 100 << 20, "the graph's activations", &memory) != EBB_OK)
          say_error();
      },
      testing::ExitedWithCode(0),
      "no memory for the graph's activations on cuda:0 .*: 0.098 GiB asked, 0.0[0-9]+ GiB of 0.1 GiB free");
}

} // namespace
