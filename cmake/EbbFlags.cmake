# Compiler flags of ebb's own code, as an interface target.
add_library(ebb_flags INTERFACE)
target_compile_definitions(ebb_flags INTERFACE _GNU_SOURCE)
target_compile_options(ebb_flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-Wall$<SEMICOLON>-Wextra$<SEMICOLON>-Wpedantic$<SEMICOLON>-Wshadow$<SEMICOLON>-Werror>)
# The loops over elements are written to vectorise; -fno-math-errno and -fno-trapping-math change no result, and
# -ffp-contract=fast, which ISO C mode would turn off, rounds a product and its sum once instead of twice.
target_compile_options(ebb_flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-fno-math-errno$<SEMICOLON>-fno-trapping-math$<SEMICOLON>-ffp-contract=fast>)
# "omp simd" is a request: a loop that clang leaves scalar is no error.
target_compile_options(ebb_flags INTERFACE $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>)
target_compile_options(ebb_flags INTERFACE $<$<CONFIG:Release>:-O3>)
if(EBB_NATIVE)
  target_compile_options(ebb_flags INTERFACE $<$<COMPILE_LANGUAGE:C,CXX>:-march=native>)
endif()
if(EBB_SANITIZE)
  target_compile_options(ebb_flags INTERFACE -fsanitize=${EBB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # gcc's checks for uninitialised values and for the lengths of texts misfire on instrumented code.
  target_compile_options(ebb_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized$<SEMICOLON>-Wno-format-truncation>)
  target_link_options(ebb_flags INTERFACE -fsanitize=${EBB_SANITIZE})
endif()
if(EBB_BUILD_FUZZ)
  # The fuzzer steers by the branches taken in the library.
  target_compile_options(ebb_flags INTERFACE $<$<C_COMPILER_ID:Clang>:-fsanitize=fuzzer-no-link>)
endif()
