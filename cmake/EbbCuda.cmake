# The CUDA backend: src/kernels/*.cu by nvcc (ON), or by the host's compiler against the emulated device of
# tests/emulator (EMULATED). AUTO is ON where nvcc is found.
set(EBB_CUDA AUTO CACHE STRING "CUDA backend: AUTO, ON, OFF or EMULATED")
set_property(CACHE EBB_CUDA PROPERTY STRINGS AUTO ON OFF EMULATED)
if(NOT EBB_CUDA MATCHES "^(AUTO|ON|OFF|EMULATED)$")
  message(FATAL_ERROR "EBB_CUDA=${EBB_CUDA}: use AUTO, ON, OFF or EMULATED")
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real" CACHE STRING "GPUs to build for, such as 80-real;90a-real")
endif()

set(EBB_CUDA_MODE ${EBB_CUDA})
if(EBB_CUDA STREQUAL AUTO OR EBB_CUDA STREQUAL ON)
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc) # where NVIDIA's packages put it
  endif()
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER AND NOT EBB_SANITIZE AND NOT EBB_BUILD_FUZZ)
    set(EBB_CUDA_MODE ON)
  elseif(EBB_CUDA STREQUAL ON)
    message(FATAL_ERROR "EBB_CUDA=ON: there is no nvcc (put it on PATH or set CUDACXX), or a sanitizer is asked for, which nvcc's objects do not take")
  else()
    set(EBB_CUDA_MODE OFF)
  endif()
endif()

set(EBB_KERNELS_DIR ${CMAKE_CURRENT_SOURCE_DIR}/src/kernels)
file(GLOB EBB_KERNEL_SOURCES CONFIGURE_DEPENDS ${EBB_KERNELS_DIR}/*.cu)
file(GLOB EBB_CUDA_HOST_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/host/device/cuda_*.c)

# ebb_use_cuda(TARGET): adds the backend to the library.
function(ebb_use_cuda target)
  if(EBB_CUDA_MODE STREQUAL OFF)
    return()
  endif()
  target_sources(${target} PRIVATE ${EBB_KERNEL_SOURCES} ${EBB_CUDA_HOST_SOURCES})
  target_compile_definitions(${target} PUBLIC $<BUILD_INTERFACE:EBB_WITH_CUDA=1>)
  if(EBB_CUDA_MODE STREQUAL ON)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-Werror=all-warnings;-lineinfo;-Xcompiler=-Wall;-Xptxas=-v>")
    set_property(TARGET ${target} PROPERTY CUDA_STANDARD 17)
  else()
    set_source_files_properties(${EBB_KERNEL_SOURCES} PROPERTIES LANGUAGE CXX
      COMPILE_OPTIONS "-x;c++;${EBB_EMULATOR_CU_FLAGS}")
    target_compile_definitions(${target} PUBLIC $<BUILD_INTERFACE:EBB_CUDA_EMULATED=1>)
  endif()
endfunction()
