# PRESIL_REPORT_PAGE: a source file with style and script of the report's page (src/report/page, TypeScript), bundled by
# esbuild. ./dev setup installs what package-lock.json names into .cache/report_page; where it has not run, this does.
set(page ${CMAKE_SOURCE_DIR}/src/report/page)
set(tools ${CMAKE_SOURCE_DIR}/.cache/report_page)
set(bundle ${CMAKE_BINARY_DIR}/report_page)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${page}/package-lock.json)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files ${page}/package-lock.json ${tools}/installed.json
                RESULT_VARIABLE page_tools_differ ERROR_QUIET)
if(page_tools_differ)
  find_program(PRESIL_NPM npm)
  if(NOT PRESIL_NPM)
    message(FATAL_ERROR "npm was not found; it installs the bundler of the report's page. Run ./dev setup.")
  endif()
  file(COPY ${page}/package.json ${page}/package-lock.json DESTINATION ${tools})
  execute_process(COMMAND ${PRESIL_NPM} ci --silent --no-audit --no-fund WORKING_DIRECTORY ${tools}
                  RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "npm ci failed in ${tools}; it installs the bundler of the report's page.")
  endif()
  configure_file(${page}/package-lock.json ${tools}/installed.json COPYONLY)
endif()

set(esbuild ${tools}/node_modules/.bin/esbuild)
file(GLOB page_sources CONFIGURE_DEPENDS ${page}/*.ts ${page}/*.css)
set(PRESIL_REPORT_PAGE ${bundle}/page_bundle.cc)
add_custom_command(
  OUTPUT ${PRESIL_REPORT_PAGE}
  COMMAND ${esbuild} ${page}/main.ts --bundle --minify --target=es2022 --format=iife --charset=ascii
          --log-level=warning --outfile=${bundle}/page.js
  COMMAND ${esbuild} ${page}/page.css --minify --charset=ascii --log-level=warning --outfile=${bundle}/page.css
  COMMAND ${CMAKE_COMMAND} -DOUT=${PRESIL_REPORT_PAGE} -DSTYLE=${bundle}/page.css -DSCRIPT=${bundle}/page.js
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
  DEPENDS ${page_sources} ${tools}/installed.json ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
  VERBATIM)
