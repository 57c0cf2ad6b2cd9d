// Loads a library while what it prints on standard error is caught.
#include <dlfcn.h>
#include <node_api.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <string>

static std::string StringOf(napi_env env, napi_value value) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length + 1, '\0');
  napi_get_value_string_utf8(env, value, &text[0], text.size(), &length);
  text.resize(length);
  return text;
}

/** Opens a library for good; returns what was written to standard error meanwhile. */
static std::string OpenQuietly(const char* path, bool* opened) {
  // Threads that redirect standard error at the same time would restore each other's.
  static std::mutex mutex;
  std::lock_guard<std::mutex> guard(mutex);
  *opened = dlopen(path, RTLD_NOW | RTLD_NOLOAD) != nullptr;
  if (*opened) return "";
  FILE* caught = tmpfile();
  const int before = caught ? dup(STDERR_FILENO) : -1;
  if (before >= 0) dup2(fileno(caught), STDERR_FILENO);
  *opened = dlopen(path, RTLD_NOW) != nullptr;
  std::string said;
  if (before >= 0) {
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(caught);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, caught)) > 0;) said.append(part, n);
  }
  if (caught) fclose(caught);
  return said;
}

/** load(path): string */
static napi_value Load(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value path;
  napi_get_cb_info(env, info, &count, &path, nullptr, nullptr);
  bool opened = false;
  const std::string said = OpenQuietly(StringOf(env, path).c_str(), &opened);
  if (!opened) napi_throw_error(env, nullptr, dlerror());
  napi_value result;
  napi_create_string_utf8(env, said.c_str(), said.size(), &result);
  return result;
}

NAPI_MODULE_INIT() {
  napi_value load;
  napi_create_function(env, "load", NAPI_AUTO_LENGTH, Load, nullptr, &load);
  napi_set_named_property(env, exports, "load", load);
  return exports;
}
