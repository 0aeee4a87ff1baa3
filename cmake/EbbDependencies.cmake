# Everything the library links, as an interface target. Package names are Debian's in README.md.
find_package(PkgConfig REQUIRED)
# GCC's OpenMP runtime reads its settings while it starts. Linked statically it starts after ebb has chosen how idle
# threads wait (src/host/device/device.c); the shared one starts before.
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  execute_process(COMMAND ${CMAKE_C_COMPILER} -print-file-name=libgomp.a OUTPUT_VARIABLE EBB_GOMP OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(IS_ABSOLUTE "${EBB_GOMP}")
    set(OpenMP_gomp_LIBRARY ${EBB_GOMP} CACHE FILEPATH "GCC's OpenMP runtime")
  endif()
endif()
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(Threads REQUIRED)
pkg_check_modules(FFTW REQUIRED IMPORTED_TARGET fftw3f)
pkg_check_modules(BLAS REQUIRED IMPORTED_TARGET openblas)
pkg_check_modules(LAPACKE REQUIRED IMPORTED_TARGET lapacke)
pkg_check_modules(FYAML REQUIRED IMPORTED_TARGET libfyaml)
pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)

add_library(ebb_dependencies INTERFACE)
target_link_libraries(ebb_dependencies INTERFACE OpenMP::OpenMP_C Threads::Threads PkgConfig::FFTW PkgConfig::BLAS PkgConfig::LAPACKE
                      PkgConfig::FYAML PkgConfig::CJSON PkgConfig::PROTOBUF_C m)
