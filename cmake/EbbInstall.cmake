# cmake --install: library, headers, experiments, a CMake package (find_package(ebb), target ebb::ebb; the project
# needs language C) and ebb.pc.
include(CMakePackageConfigHelpers)
set(EBB_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ebb)
set(EBB_PACKAGE_BUILD_DIR ${CMAKE_CURRENT_BINARY_DIR}/package)

set_target_properties(ebb_dependencies PROPERTIES EXPORT_NAME dependencies)
install(TARGETS ebb ebb_dependencies EXPORT ebb-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT ebb-targets NAMESPACE ebb:: DESTINATION ${EBB_PACKAGE_DIR})
install(DIRECTORY include/ebb DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY experiments/ DESTINATION ${CMAKE_INSTALL_DATADIR}/ebb/experiments)

file(WRITE ${EBB_PACKAGE_BUILD_DIR}/ebb-config.cmake
"set(EBB_CUDA_MODE ${EBB_CUDA_MODE})
include(\${CMAKE_CURRENT_LIST_DIR}/EbbPackages.cmake)
include(\${CMAKE_CURRENT_LIST_DIR}/ebb-targets.cmake)
")
write_basic_package_version_file(${EBB_PACKAGE_BUILD_DIR}/ebb-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${EBB_PACKAGE_BUILD_DIR}/ebb-config.cmake ${EBB_PACKAGE_BUILD_DIR}/ebb-config-version.cmake
              ${CMAKE_CURRENT_LIST_DIR}/EbbPackages.cmake DESTINATION ${EBB_PACKAGE_DIR})

# lib/pkgconfig, or lib/x86_64-linux-gnu/pkgconfig: how far up the prefix is.
file(RELATIVE_PATH EBB_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
if(EBB_CUDA_MODE STREQUAL ON)
  set(EBB_PC_CUDA "-L${CUDAToolkit_LIBRARY_DIR} -lcublas -lcufft -lcudart_static -lstdc++ -ldl -lrt")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/ebb.pc.in ${EBB_PACKAGE_BUILD_DIR}/ebb.pc @ONLY)
install(FILES ${EBB_PACKAGE_BUILD_DIR}/ebb.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
