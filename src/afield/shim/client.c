/* The fast `python` of a project: finds the project it lies in, hands the command to the daemon, lets relay.c carry the streams.
 *
 * Rules: C99 and POSIX, nothing else; the protocol is docs/development/control.md, section Run; client.py beside this file does
 * the same and passes the same tests.  Nothing is configured by environment variables (`env -i` works): the project is found
 * from where this program lies, the rest stands in PROJECT/.afield/shim.conf.
 * What must not go in: any question to the user, any start of a link (the fallback, the full command line, does that).
 */
#include "client.h"
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

extern char **environ;

const char *socket_path, *machine = "";
char project[PATH_MAX], *fallback[64];
static char self[PATH_MAX], venv[PATH_MAX], conf[16384];

void fail(const char *format, ...) {
  va_list values;
  leave_raw();
  va_start(values, format);
  fputs("afield: ", stderr);
  vfprintf(stderr, format, values);
  fputc('\n', stderr);
  va_end(values);
  exit(255);
}

void *must(void *memory) { if (!memory) fail("out of memory"); return memory; }

void put32(unsigned char *to, uint32_t value) { for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> 8 * i); }
void put64(unsigned char *to, uint64_t value) { for (int i = 0; i < 8; i++) to[i] = (unsigned char)(value >> 8 * i); }
uint64_t get(const unsigned char *from, int size) {
  uint64_t value = 0;
  while (size--) value = value << 8 | from[size];
  return value;
}

/* ---- where we are, and what shim.conf says ---- */

/* The last component goes; returns 0 when there was none. */
static int up(char *path) {
  char *slash = strrchr(path, '/');
  if (!slash) return 0;
  *slash = 0;
  return 1;
}

static int has_file(const char *folder, const char *name) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return access(path, F_OK) == 0;
}

static void find_self(const char *name) {
#ifdef __APPLE__
  char found[PATH_MAX];
  uint32_t size = sizeof found;
  if (_NSGetExecutablePath(found, &size) < 0 || !realpath(found, self)) fail("cannot find the path of %s", name);
#else
  ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
  static const char gone[] = " (deleted)";  /* an update replaced the file between its start and now (proc(5)) */
  if (size < 0 && !realpath(name, self)) fail("cannot find the path of %s: %s", name, strerror(errno));
  if (size > (ssize_t)sizeof gone && access(self, F_OK) < 0 && !strcmp(self + size - (sizeof gone - 1), gone))
    self[size - (ssize_t)(sizeof gone - 1)] = 0;
#endif
}

/* The project is where .afield/shim.conf is: three up from .afield/bin/python, or further for a copy in a venv inside it. */
static void locate(const char *name) {
  find_self(name);
  strcpy(project, self);
  for (int i = 0; i < 3; i++) if (!up(project)) fail("%s does not lie in the folder .afield/bin of a project", self);
  char above[PATH_MAX];
  strcpy(above, project);
  while (!has_file(above, ".afield/shim.conf")) if (!up(above)) return;
  strcpy(project, above);
}

/* The path that we were started by, as a whole; empty when argv[0] is not one that leads here. */
static void find_started(const char *name, char *path) {
  struct stat mine, there;
  const char *folders = getenv("PATH");
  *path = 0;
  if (stat(self, &mine) < 0) return;
  if (strchr(name, '/')) {
    char folder[PATH_MAX];
    if (*name == '/') snprintf(path, PATH_MAX, "%s", name);
    else if (getcwd(folder, sizeof folder)) { if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) *path = 0; }
    if (stat(path, &there) < 0 || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev) *path = 0;
    return;
  }
  for (; folders && *folders; folders += strcspn(folders, ":"), folders += *folders == ':') {
    if (snprintf(path, PATH_MAX, "%.*s/%s", (int)strcspn(folders, ":"), folders, name) >= PATH_MAX || access(path, X_OK) < 0) continue;
    if (stat(path, &there) < 0 || there.st_ino != mine.st_ino || there.st_dev != mine.st_dev) break;
    return;
  }
  *path = 0;
}

/* A virtual environment that was made on this interpreter has links to it: the innermost pyvenv.cfg on the way here (PEP 405) says
 * which one was meant.  Fills path with the venv's own name for it, or empties it. */
static void find_venv(const char *name, char *path) {
  char folder[PATH_MAX], real[PATH_MAX], parent[PATH_MAX], target[PATH_MAX], own[PATH_MAX + 32];
  snprintf(own, sizeof own, "%s/.afield", project);
  find_started(name, path);
  for (int links = 0; *path && links < 40; links++) {       /* as many as the kernel follows (path_resolution(7)) */
    strcpy(folder, path);
    up(folder);
    if (!realpath(*folder ? folder : "/", real)) break;
    strcpy(parent, real);
    up(parent);
    if (!strcmp(parent, own)) break;                         /* .afield/bin, by whatever links */
    if (has_file(parent, "pyvenv.cfg")) {
      snprintf(folder, sizeof folder, "%s", strrchr(path, '/'));
      if (strlen(real) + strlen(folder) >= PATH_MAX) break;
      strcpy(path, real);
      strcat(path, folder);
      return;
    }
    ssize_t size = readlink(path, target, sizeof target - 1);
    if (size <= 0) break;
    target[size] = 0;
    if (*target == '/') strcpy(path, target);
    else if (snprintf(path, PATH_MAX, "%s/%s", real, target) >= PATH_MAX) break;
  }
  *path = 0;
}

static void read_conf(void) {
  char path[PATH_MAX + 32];
  ssize_t size, count = 0;
  snprintf(path, sizeof path, "%s/.afield/shim.conf", project);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  size = fd < 0 ? -1 : read(fd, conf, sizeof conf - 1);
  if (size < 0) fail("cannot read %s: %s\nhint: run `afield up` in %s", path, strerror(errno), *project ? project : "/");
  close(fd);
  for (char *line = strtok(conf, "\n"); line; line = strtok(NULL, "\n")) {
    if (!strncmp(line, "socket=", 7)) socket_path = line + 7;
    if (!strncmp(line, "machine=", 8)) machine = line + 8;
    if (!strncmp(line, "fallback=", 9))
      for (char *word = line + 9; word && *word && count < 56; ) {
        fallback[count++] = word;
        word = strchr(word, '\t');
        if (word) *word++ = 0;
      }
  }
  if (!socket_path) fail("%s names no socket\nhint: run `afield up` in %s", path, project);
}

/* ---- the socket ---- */

int dial(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char folder[PATH_MAX];
  int handle = -1, fd = socket(AF_UNIX, SOCK_STREAM, 0), result;
  if (fd < 0) return -1;
  if (fd >= FD_SETSIZE) fail("too many open files were handed down: descriptor %d, at most %d", fd, FD_SETSIZE - 1);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (strlen(socket_path) < sizeof address.sun_path) strcpy(address.sun_path, socket_path);
#ifdef __linux__
  else {                                  /* longer than an address holds (unix(7)): through its open folder */
    char *slash;
    snprintf(folder, sizeof folder, "%s", socket_path);
    slash = strrchr(folder, '/');
    *slash = 0;
    handle = open(folder, O_PATH | O_CLOEXEC);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.60s", handle, slash + 1);
  }
#else
  (void)folder;
#endif
  result = connect(fd, (struct sockaddr *)&address, sizeof address);
  if (handle >= 0) close(handle);
  if (result < 0) { close(fd); return -1; }
#ifdef SO_PEERCRED
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0 || peer.uid != geteuid())
    fail("%s belongs to user %d, expected %d\nhint: somebody else made that socket; remove it", socket_path, (int)peer.uid, (int)geteuid());
#else
  uid_t owner; gid_t group;
  if (getpeereid(fd, &owner, &group) < 0 || owner != geteuid()) fail("%s belongs to another user", socket_path);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
  return fd;
}

int send_all(int fd, const unsigned char *data, size_t size) {
  while (size) {
    ssize_t count = send(fd, data, size, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    data += count;
    size -= (size_t)count;
  }
  return 0;
}

/* ---- the request ---- */

static unsigned char *request;
static size_t request_fill, request_size;

static void field(const char *text) {
  size_t size = strlen(text) + 1;
  if (request_fill + size > request_size) {
    request_size = (request_fill + size) * 2;
    request = must(realloc(request, request_size));
  }
  memcpy(request + request_fill, text, size);
  request_fill += size;
}

static void number(long value) {
  char text[24];
  snprintf(text, sizeof text, "%ld", value);
  field(text);
}

void window_size(struct winsize *size) {
  for (int fd = 0; fd < 3; fd++) if (ioctl(fd, TIOCGWINSZ, size) == 0) return;
  memset(size, 0, sizeof *size);
}

static const char *is_pip(void) {
  if (*venv) return NULL;
  const char *name = strrchr(self, '/') + 1;
  return strncmp(name, "pip", 3) ? NULL : name;
}

static const char *argv0(void) {
  static char path[PATH_MAX + 32];
  if (*venv) return venv;
  if (!is_pip()) return self;
  snprintf(path, sizeof path, "%s/.afield/bin/python", project);
  return path;
}

/* What holds of the terminal here holds of the one there: Emacs wants no echo and no carriage returns from what it runs. */
static void terminal_flags(char *flags) {
  struct termios mode;
  if (strcmp(flags, "012") || tcgetattr(0, &mode) < 0) return;
  if (!(mode.c_lflag & ECHO)) strcat(flags, "e");
  if (!(mode.c_oflag & OPOST) || !(mode.c_oflag & ONLCR)) strcat(flags, "l");
}

static int send_request(int fd, int argc, char **argv) {
  char folder[PATH_MAX], flags[6] = "", *name = getenv("PWD");
  struct winsize size;
  long count = 0;
  for (int i = 0; i < 3; i++) if (isatty(i)) { flags[count++] = (char)('0' + i); flags[count] = 0; }
  terminal_flags(flags);
  window_size(&size);
  request_size = 16384;
  request = must(malloc(request_size));
  memcpy(request, "AFR1R\0\0\0", 9);
  request_fill = 9;
  field("1"); field("python"); field(argv0()); field(project); field(machine);
  field(getcwd(folder, sizeof folder) ? folder : name && *name == '/' ? name : "/");
  field(flags); number(size.ws_row); number(size.ws_col);
  field(getenv("TERM") ? getenv("TERM") : "");
  number(argc - 1 + (is_pip() ? 2 : 0));
  if (is_pip()) { field("-m"); field("pip"); }
  for (int i = 1; i < argc; i++) field(argv[i]);
  for (count = 0; environ[count]; count++) {}
  number(count);
  for (count = 0; environ[count]; count++) field(environ[count]);
  put32(request + 5, (uint32_t)(request_fill - 9));
  int result = send_all(fd, request, request_fill);
  free(request);
  return result;
}

/* The full command line dials, asks and reports; it gets what we were given. */
static void run_fallback(int argc, char **argv) __attribute__((noreturn));
static void run_fallback(int argc, char **argv) {
  char **words = must(calloc((size_t)argc + 70, sizeof *words));
  int count = 0;
  if (!fallback[0]) fail("no daemon at %s and shim.conf names no fallback\nhint: run `afield up` in %s", socket_path, project);
  while (fallback[count]) { words[count] = fallback[count]; count++; }
  words[count++] = "shim-run";
  words[count++] = (char *)argv0();
  words[count++] = project;
  words[count++] = (char *)machine;
  if (is_pip()) { words[count++] = "-m"; words[count++] = "pip"; }
  for (int i = 1; i < argc; i++) words[count++] = argv[i];
  execv(words[0], words);
  fail("cannot start %s: %s\nhint: run `afield up` in %s", words[0], strerror(errno), project);
}

int main(int argc, char **argv) {
  int fd, status;
  /* A closed 0, 1 or 2 would be taken by the socket, and then be read or written as a stream. */
  for (int i = 0; i < 3; i++) if (fcntl(i, F_GETFD) < 0 && open("/dev/null", i ? O_WRONLY : O_RDONLY) != i) fail("cannot open /dev/null");
  locate(argc ? argv[0] : "python");
  if (argc) find_venv(argv[0], venv);
  read_conf();
  fd = dial();
  if (fd < 0 || send_request(fd, argc, argv) < 0) run_fallback(argc, argv);
  status = relay(fd);
  if (status < 0) run_fallback(argc, argv);
  return status;
}
