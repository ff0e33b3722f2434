/* SPDX-License-Identifier: Apache-2.0
 * CLSINK_API marks what a shared library shows. CLSINK_SHARED is defined for users of a shared build by its CMake and
 * pkg-config files, clsink_EXPORTS while the shared library itself is built. Valid C and C++. */
#ifndef CLSINK_EXPORT_H
#define CLSINK_EXPORT_H

#if !defined(CLSINK_SHARED)
#define CLSINK_API
#elif !defined(_WIN32)
#define CLSINK_API __attribute__((visibility("default")))
#elif defined(clsink_EXPORTS)
#define CLSINK_API __declspec(dllexport)
#else
#define CLSINK_API __declspec(dllimport)
#endif

#endif
