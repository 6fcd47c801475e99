# presil_onnx_schema: protobuf code generated from the schema that PyPI's onnx package carries (.venv, ./dev setup).
# PRESIL_PYTHON names another interpreter to look in first.
find_program(PRESIL_PROTOC protoc REQUIRED)
find_library(PRESIL_PROTOBUF_LITE protobuf-lite REQUIRED)
foreach(python ${PRESIL_PYTHON} ${Python_EXECUTABLE} ${CMAKE_SOURCE_DIR}/.venv/bin/python python3)
  execute_process(
    COMMAND ${python} -c "import os, onnx, onnx.defs; print(os.path.dirname(onnx.__file__), onnx.defs.onnx_opset_version(), sep=';')"
    OUTPUT_VARIABLE onnx_facts OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE onnx_missing)
  if(onnx_missing EQUAL 0)
    break()
  endif()
endforeach()
if(NOT onnx_missing EQUAL 0)
  message(FATAL_ERROR "No Python with the onnx package was found. Run ./dev setup, or set PRESIL_PYTHON to one that has it.")
endif()
list(GET onnx_facts 0 onnx_folder)
list(GET onnx_facts 1 PRESIL_ONNX_OPSET_MAX)

set(generated ${CMAKE_BINARY_DIR}/onnx_schema)
file(MAKE_DIRECTORY ${generated})
add_custom_command(
  OUTPUT ${generated}/onnx-ml.pb.cc ${generated}/onnx-ml.pb.h
  COMMAND ${PRESIL_PROTOC} --cpp_out=${generated} --proto_path=${onnx_folder} ${onnx_folder}/onnx-ml.proto
  DEPENDS ${onnx_folder}/onnx-ml.proto
  VERBATIM)
add_library(presil_onnx_schema STATIC ${generated}/onnx-ml.pb.cc ${generated}/onnx-ml.pb.h)
set_target_properties(presil_onnx_schema PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_options(presil_onnx_schema PRIVATE -w)
target_include_directories(presil_onnx_schema SYSTEM PUBLIC ${generated})
target_compile_definitions(presil_onnx_schema PUBLIC PRESIL_ONNX_OPSET_MAX=${PRESIL_ONNX_OPSET_MAX})
target_link_libraries(presil_onnx_schema PUBLIC ${PRESIL_PROTOBUF_LITE})
