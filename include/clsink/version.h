/* SPDX-License-Identifier: Apache-2.0
 * The version of the headers, for C and C++. clsink_version() and clsink::version() tell that
 * of the library at run time. */
#ifndef CLSINK_VERSION_H
#define CLSINK_VERSION_H

#define CLSINK_VERSION_MAJOR 0
#define CLSINK_VERSION_MINOR 1
#define CLSINK_VERSION_PATCH 0

#endif
