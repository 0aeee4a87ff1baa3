# Everything the library links, as an interface target.

# GCC's OpenMP runtime reads its settings while it starts. Linked statically it starts after ebb has chosen how idle
# threads wait (src/host/device/device.c); the shared one, which users of an installed ebb get, starts before.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libgomp.a OUTPUT_VARIABLE EBB_GOMP OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(IS_ABSOLUTE "${EBB_GOMP}")
    set(OpenMP_gomp_LIBRARY ${EBB_GOMP} CACHE FILEPATH "GCC's OpenMP runtime")
  endif()
endif()
include(EbbPackages)

add_library(ebb_dependencies INTERFACE)
target_link_libraries(ebb_dependencies INTERFACE OpenMP::OpenMP_C Threads::Threads PkgConfig::FFTW PkgConfig::BLAS PkgConfig::LAPACKE
                      PkgConfig::FYAML PkgConfig::CJSON PkgConfig::PROTOBUF_C PkgConfig::ZLIB PkgConfig::PNG m)
if(EBB_CUDA_MODE STREQUAL ON)
  target_link_libraries(ebb_dependencies INTERFACE CUDA::cudart_static CUDA::cublas CUDA::cufft stdc++)
elseif(EBB_CUDA_MODE STREQUAL EMULATED)
  target_link_libraries(ebb_dependencies INTERFACE $<BUILD_INTERFACE:ebb_emulator> stdc++)
endif()
