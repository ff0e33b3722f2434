# SPDX-License-Identifier: Apache-2.0
# Writes one file as a C++ string:
#   cmake -DDIR=... -DNAME=decode.cl -DSYMBOL=k_decode_source -DOUTPUT=decode_source.cpp -P embed.cmake
# In a kernel (.cl) each #include "..." is replaced by the file, once; #line directives keep build logs pointing at the
# real file and line.
cmake_minimum_required(VERSION 3.20)

set(seen "")
function(flatten name result)
  list(FIND seen "${name}" index)
  if(NOT index EQUAL -1)
    set(${result} "" PARENT_SCOPE)
    return()
  endif()
  list(APPEND seen "${name}")
  file(READ "${DIR}/${name}" rest)
  set(text "#line 1 \"${name}\"\n")
  set(number 0)
  while(NOT rest STREQUAL "")
    math(EXPR number "${number} + 1")
    string(FIND "${rest}" "\n" end)
    if(end EQUAL -1)
      set(line "${rest}")
      set(rest "")
    else()
      string(SUBSTRING "${rest}" 0 ${end} line)
      math(EXPR begin "${end} + 1")
      string(SUBSTRING "${rest}" ${begin} -1 rest)
    endif()
    if(line MATCHES "^#include \"([^\"]+)\"")
      flatten("${CMAKE_MATCH_1}" included)
      math(EXPR next "${number} + 1")
      string(APPEND text "${included}#line ${next} \"${name}\"\n")
    elseif(line STREQUAL "#pragma once")
      string(APPEND text "\n")
    else()
      string(APPEND text "${line}\n")
    endif()
  endwhile()
  set(${result} "${text}" PARENT_SCOPE)
  set(seen "${seen}" PARENT_SCOPE)
endfunction()

if(NAME MATCHES "\\.cl$")
  flatten("${NAME}" source)
else()
  file(READ "${DIR}/${NAME}" source)
endif()
file(WRITE "${OUTPUT}"
     "// Generated from ${NAME}\n#include <string_view>\n\nnamespace clsink {\n\n"
     "extern const std::string_view ${SYMBOL};\n"
     "const std::string_view ${SYMBOL} = R\"clsink(${source})clsink\";\n\n}  // namespace clsink\n")
