// What the files of presil._core share: a program, and errors as presil.Error.
#pragma once
#include <nanobind/nanobind.h>

#include <memory>

#include "base/result.h"
#include "runtime/workload.h"

namespace presil::python {

struct Program {
  std::shared_ptr<const runtime::Workload> workload;
};

inline const char* code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::bad_input:
      return "bad_input";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::io:
      return "io";
    case ErrorCode::cancelled:
      return "cancelled";
  }
  return "";
}

[[noreturn]] inline void raise(const Error& error) {
  nanobind::object type = nanobind::module_::import_("presil._error").attr("Error");
  nanobind::object value = type(error.message, error.where, error.hint, code_name(error.code));
  PyErr_SetObject(type.ptr(), value.ptr());
  throw nanobind::python_error();
}

template <class T>
T value_or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return std::move(*result);
}
inline void value_or_raise(const Result<void>& result) {
  if (!result) raise(result.error());
}

void bind_recording(nanobind::module_& m);

}  // namespace presil::python
