# cmake -DOUT=file.cc -DSTYLE=page.css -DSCRIPT=page.js -P embed_page.cmake: both as texts in C++ (report/page_bundle.h).
# As bytes, because brackets and semicolons are lists to CMake.
set(text "#include \"report/page_bundle.h\"\n\nnamespace presil::report {\n")
foreach(part STYLE SCRIPT)
  file(READ ${${part}} content HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," content "${content}")
  string(APPEND text "static constexpr char k${part}[] = {${content}0};\n")
endforeach()
string(APPEND text "const std::string_view kPageStyle(kSTYLE, sizeof kSTYLE - 1);\nconst std::string_view kPageScript(kSCRIPT, sizeof kSCRIPT - 1);\n}  // namespace presil::report\n")
file(WRITE ${OUT} "${text}")
