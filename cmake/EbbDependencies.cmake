# Everything the library links, as an interface target. Package names are Debian's in README.md.
find_package(PkgConfig REQUIRED)
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
