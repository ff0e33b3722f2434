# SPDX-License-Identifier: Apache-2.0
# Installs library, headers, the CMake package (find_package(clsink)) and the pkg-config file, for static and shared builds.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(CLSINK_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/clsink)

set(CLSINK_LIBRARIES clsink)
if(CLSINK_BUILD_TUNING)
  list(APPEND CLSINK_LIBRARIES clsink_tuning)
endif()
install(TARGETS ${CLSINK_LIBRARIES} EXPORT clsinkTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/clsink DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT clsinkTargets NAMESPACE clsink:: DESTINATION ${CLSINK_PACKAGE_DIR})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/clsinkConfig.cmake.in ${PROJECT_BINARY_DIR}/clsinkConfig.cmake
                              INSTALL_DESTINATION ${CLSINK_PACKAGE_DIR})
# Before 1.0 a minor version may change the API.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/clsinkConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clsinkConfig.cmake ${PROJECT_BINARY_DIR}/clsinkConfigVersion.cmake
        DESTINATION ${CLSINK_PACKAGE_DIR})

# A program that links the static library needs threads, and a C program the C++ runtime named; a shared one brings its own.
if(BUILD_SHARED_LIBS)
  set(CLSINK_PC_CFLAGS -DCLSINK_SHARED)
else()
  string(APPEND CLSINK_PC_LIBS " -pthread")
  foreach(library ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
    if(library MATCHES "^(stdc\\+\\+|c\\+\\+|m)$")
      string(APPEND CLSINK_PC_LIBS " -l${library}")
    endif()
  endforeach()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/clsink.pc.in ${PROJECT_BINARY_DIR}/clsink.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clsink.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
if(CLSINK_BUILD_TOOL)
  install(TARGETS clsink_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
