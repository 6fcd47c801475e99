# PRESIL_REPORT_PAGE: a source file with style and script of the report's page (src/report/page, TypeScript), bundled by
# esbuild. ./dev setup installs what package-lock.json names; where it has not run, the build does.
set(page ${CMAKE_SOURCE_DIR}/src/report/page)
set(bundle ${CMAKE_BINARY_DIR}/report_page)
set(esbuild ${page}/node_modules/.bin/esbuild)
set(installed ${page}/node_modules/.package-lock.json)
find_program(PRESIL_NPM npm)
if(NOT PRESIL_NPM AND NOT EXISTS ${installed})
  message(FATAL_ERROR "npm was not found; it installs the bundler of the report's page. Run ./dev setup.")
endif()
add_custom_command(
  OUTPUT ${installed}
  COMMAND ${PRESIL_NPM} ci --silent --no-audit --no-fund
  COMMAND ${CMAKE_COMMAND} -E touch ${installed}
  DEPENDS ${page}/package-lock.json
  WORKING_DIRECTORY ${page}
  COMMENT "Installing the bundler of the report's page"
  VERBATIM)
file(GLOB page_sources CONFIGURE_DEPENDS ${page}/*.ts ${page}/*.css)
set(PRESIL_REPORT_PAGE ${bundle}/page_bundle.cc)
add_custom_command(
  OUTPUT ${PRESIL_REPORT_PAGE}
  COMMAND ${esbuild} ${page}/main.ts --bundle --minify --target=es2022 --format=iife --charset=ascii
          --log-level=warning --outfile=${bundle}/page.js
  COMMAND ${esbuild} ${page}/page.css --minify --charset=ascii --log-level=warning --outfile=${bundle}/page.css
  COMMAND ${CMAKE_COMMAND} -DOUT=${PRESIL_REPORT_PAGE} -DSTYLE=${bundle}/page.css -DSCRIPT=${bundle}/page.js
          -P ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
  DEPENDS ${page_sources} ${installed} ${CMAKE_SOURCE_DIR}/cmake/embed_page.cmake
  VERBATIM)
