# The messages of TensorBoard's event files, generated from tensorboard.proto into the library.
find_program(EBB_PROTOC_C protoc-c)
if(NOT EBB_PROTOC_C)
  message(FATAL_ERROR "protoc-c is missing: install protobuf-c-compiler")
endif()
set(EBB_PROTO ${CMAKE_CURRENT_SOURCE_DIR}/src/host/metrics/tensorboard.proto)
set(EBB_GENERATED ${CMAKE_CURRENT_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${EBB_GENERATED})
add_custom_command(
  OUTPUT ${EBB_GENERATED}/tensorboard.pb-c.c ${EBB_GENERATED}/tensorboard.pb-c.h
  COMMAND ${EBB_PROTOC_C} --c_out=${EBB_GENERATED} --proto_path=${CMAKE_CURRENT_SOURCE_DIR}/src/host/metrics ${EBB_PROTO}
  DEPENDS ${EBB_PROTO}
  VERBATIM)
set_source_files_properties(${EBB_GENERATED}/tensorboard.pb-c.c PROPERTIES COMPILE_OPTIONS -w)
target_sources(ebb PRIVATE ${EBB_GENERATED}/tensorboard.pb-c.c ${EBB_GENERATED}/tensorboard.pb-c.h)
target_include_directories(ebb PRIVATE ${EBB_GENERATED})
