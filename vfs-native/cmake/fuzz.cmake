# libFuzzer targets: fuzz/fuzz_*.c, seeded from fuzz/corpus/<name>/. Needs clang and its runtime.
include(CheckCSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-fsanitize=fuzzer,address,undefined")
check_c_source_compiles(
  "#include <stddef.h>
   #include <stdint.h>
   int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
   int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { (void)data; (void)size; return 0; }"
  GSQ_HAVE_LIBFUZZER)
unset(CMAKE_REQUIRED_FLAGS)

if(NOT GSQ_HAVE_LIBFUZZER)
  message(WARNING "SKIPPED: fuzzing, for ${CMAKE_C_COMPILER} cannot link -fsanitize=fuzzer "
                  "(clang and libclang-rt are needed)")
  add_test(NAME fuzz COMMAND ${CMAKE_COMMAND} -E echo
           "SKIPPED: ${CMAKE_C_COMPILER} cannot link -fsanitize=fuzzer (clang and libclang-rt are needed)")
  set_tests_properties(fuzz PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED" LABELS fuzz)
  return()
endif()

# The rooms count coverage, so that the fuzzer sees where it gets to.
foreach(room IN LISTS rooms)
  if(TARGET ${room})
    target_compile_options(${room} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endforeach()
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/fuzz_*.c)
find_library(SQLITE_LIBRARY sqlite3)
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name ${source} NAME_WE)
  string(REGEX REPLACE "^fuzz_" "" seeds ${name})
  add_executable(${name} ${source} ${room_objects} $<TARGET_OBJECTS:messages>)
  target_include_directories(${name} PRIVATE src fuzz)
  target_include_directories(${name} SYSTEM PRIVATE ${generated_dir})
  target_compile_options(${name} PRIVATE ${warnings} -Wno-missing-prototypes -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE ${libraries})
  if(SQLITE_LIBRARY)
    target_link_libraries(${name} PRIVATE ${SQLITE_LIBRARY})
  endif()
  # What the fuzzer finds goes to the build folder; the seeds are only read.
  set(found ${CMAKE_CURRENT_BINARY_DIR}/found/${seeds})
  file(MAKE_DIRECTORY ${found})
  set(corpus ${found})
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${seeds})
    list(APPEND corpus ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${seeds})
  endif()
  math(EXPR timeout "${GSQ_FUZZ_SECONDS} + 600")
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${GSQ_FUZZ_SECONDS} -timeout=10
           -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix=${found}/crash- ${corpus})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT ${timeout})
endforeach()
