#include "rpc/io.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "rpc/tls.h"

int gsq_io_wait(int fd, short events, int cancel_fd, int wake_fd, int64_t deadline_ms) {
  struct pollfd fds[3] = {{fd, events, 0}, {cancel_fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  for (;;) {
    int64_t left = deadline_ms - gsq_now_ms();
    if (left < 0) left = 0;
    if (left > INT_MAX) left = INT_MAX;
    int ready = poll(fds, 3, (int)left);
    if (ready < 0) {
      if (errno == EINTR) continue;
      return GSQ_WAIT_READY; /* the operation itself will tell what is wrong */
    }
    if (fds[1].revents) return GSQ_WAIT_CANCELLED;
    if (fds[0].revents) return GSQ_WAIT_READY;
    if (fds[2].revents) return GSQ_WAIT_WOKEN;
    if (gsq_now_ms() >= deadline_ms) return GSQ_WAIT_TIMEOUT;
  }
}

static int64_t sooner(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Returns 0, or what went wrong: an errno, or ECANCELED for a shutdown. */
static int connect_to(const struct sockaddr *address, socklen_t size, int cancel_fd,
                      int64_t deadline_ms, int *out) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  int problem = 0;
  if (connect(fd, address, size) != 0) {
    /* EINTR: the connection is made in the background, as with EINPROGRESS. EAGAIN is what a
    ** Unix socket says whose queue is full. */
    problem = errno == EAGAIN ? ECONNREFUSED : errno;
    if (problem == EINPROGRESS || problem == EINTR) {
      switch (gsq_io_wait(fd, POLLOUT, cancel_fd, -1, deadline_ms)) {
        case GSQ_WAIT_CANCELLED:
          problem = ECANCELED;
          break;
        case GSQ_WAIT_TIMEOUT:
          problem = ETIMEDOUT;
          break;
        default: {
          socklen_t length = sizeof problem;
          if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &length) != 0) problem = errno;
        }
      }
    }
  }
  if (problem) {
    close(fd);
    return problem;
  }
  if (address->sa_family != AF_UNIX) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  *out = fd;
  return 0;
}

static int connect_error(const gsq_url *url, const char *advice, int problem, int64_t waited_ms,
                         gsq_error *error) {
  char text[128];
  switch (problem) {
    case ECANCELED:
      return gsq_error_set(error, GSQ_CANCELLED, "shutting down");
    case ENOMEM:
      return gsq_error_nomem(error);
    case ETIMEDOUT:
      return gsq_error_set(error, GSQ_UNAVAILABLE,
                           "no answer from %s (tried to connect for %lld ms); is the host "
                           "right, and a firewall open?",
                           url->text, (long long)waited_ms);
    case ECONNREFUSED:
      return gsq_error_set(error, GSQ_UNAVAILABLE, "no server at %s (connection refused)%s",
                           url->text, advice);
    default: {
      const char *why = strerror_r(problem, text, sizeof text);
      return gsq_error_set(error, GSQ_UNAVAILABLE, "no server at %s (%s)%s", url->text, why,
                           advice);
    }
  }
}

static int connect_unix(const gsq_url *url, const char *advice, int cancel_fd,
                        int64_t timeout_ms, int64_t deadline_ms, int *fd, gsq_error *error) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, url->path, sizeof address.sun_path);
  int64_t start = gsq_now_ms();
  int problem = connect_to((struct sockaddr *)&address, sizeof address, cancel_fd,
                           sooner(deadline_ms, start + timeout_ms), fd);
  if (problem) return connect_error(url, advice, problem, gsq_now_ms() - start, error);
  return GSQ_OK;
}

static int connect_tcp(const gsq_url *url, const char *advice, int cancel_fd,
                       int64_t timeout_ms, int64_t deadline_ms, int *fd, gsq_error *error) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC,
                           .ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_NUMERICSERV | (url->is_address ? AI_NUMERICHOST : 0)};
  struct addrinfo *list = NULL;
  int status = getaddrinfo(url->host, url->port, &hints, &list);
  if (status == EAI_MEMORY) return gsq_error_nomem(error);
  if (status == EAI_AGAIN || status == EAI_SYSTEM) {
    return gsq_error_set(error, GSQ_UNAVAILABLE, "cannot look up the host of %s now (%s)",
                         url->text, gai_strerror(status));
  }
  if (status != 0) {
    return gsq_error_set(error, GSQ_BAD_URL, "the host of %s is not known (%s)", url->text,
                         gai_strerror(status));
  }
  int problem = EADDRNOTAVAIL;
  int64_t start = gsq_now_ms(), now = start;
  for (struct addrinfo *at = list; at; at = at->ai_next) {
    problem = connect_to(at->ai_addr, at->ai_addrlen, cancel_fd,
                         sooner(deadline_ms, now + timeout_ms), fd);
    now = gsq_now_ms();
    if (problem == 0 || problem == ECANCELED || problem == ENOMEM || now >= deadline_ms) break;
  }
  freeaddrinfo(list);
  if (problem) return connect_error(url, advice, problem, now - start, error);
  return GSQ_OK;
}

int gsq_io_connect(const gsq_url *url, struct gsq_tls *tls, const char *advice, int cancel_fd,
                   int64_t connect_timeout_ms, int64_t deadline_ms, gsq_io *io,
                   gsq_error *error) {
  io->fd = -1;
  io->tls = NULL;
  int code = (url->is_unix ? connect_unix : connect_tcp)(
      url, advice, cancel_fd, connect_timeout_ms, deadline_ms, &io->fd, error);
  if (code == GSQ_OK && url->tls) {
    int64_t until = sooner(deadline_ms, gsq_now_ms() + connect_timeout_ms);
    code = gsq_tls_connect(tls, url, io->fd, cancel_fd, until, &io->tls, error);
    if (code != GSQ_OK) gsq_io_close(io);
  }
  return code;
}

static int64_t result_of_errno(void) {
  return errno == EAGAIN || errno == EWOULDBLOCK ? GSQ_IO_AGAIN : GSQ_IO_LOST;
}

int64_t gsq_io_read(gsq_io *io, void *to, size_t size) {
  if (io->tls) return gsq_tls_read(io->tls, to, size);
  for (;;) {
    ssize_t got = recv(io->fd, to, size, 0);
    if (got >= 0) return got;
    if (errno != EINTR) return result_of_errno();
  }
}

int64_t gsq_io_write(gsq_io *io, const struct iovec *from, int count) {
  if (io->tls) return gsq_tls_write(io->tls, from, count);
  struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)from,
                           .msg_iovlen = (size_t)count};
  for (;;) {
    ssize_t sent = sendmsg(io->fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno != EINTR) return result_of_errno();
  }
}

int gsq_io_has_buffered(const gsq_io *io) {
  return io->tls && gsq_tls_has_buffered(io->tls);
}

int gsq_io_alert(const gsq_io *io, const gsq_url *url, gsq_error *error) {
  return io->tls ? gsq_tls_alert(io->tls, url, error) : GSQ_OK;
}

int gsq_io_is_newest(const gsq_io *io) {
  return !io->tls || gsq_tls_is_newest(io->tls);
}

static int is_loopback(const struct in_addr *address) {
  return ntohl(address->s_addr) >> 24 == 127;
}

int gsq_io_is_local(const gsq_io *io) {
  struct sockaddr_storage here, there;
  socklen_t here_size = sizeof here, there_size = sizeof there;
  if (getsockname(io->fd, (struct sockaddr *)&here, &here_size) != 0 ||
      getpeername(io->fd, (struct sockaddr *)&there, &there_size) != 0) {
    return 0;
  }
  if (there.ss_family == AF_UNIX) return 1;
  if (here.ss_family != there.ss_family) return 0;
  if (there.ss_family == AF_INET) {
    const struct in_addr *from = &((struct sockaddr_in *)&here)->sin_addr;
    const struct in_addr *to = &((struct sockaddr_in *)&there)->sin_addr;
    return is_loopback(to) || from->s_addr == to->s_addr;
  }
  const struct in6_addr *from = &((struct sockaddr_in6 *)&here)->sin6_addr;
  const struct in6_addr *to = &((struct sockaddr_in6 *)&there)->sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(to) || memcmp(from, to, sizeof *to) == 0;
}

void gsq_io_close(gsq_io *io) {
  if (io->tls) gsq_tls_close(io->tls);
  io->tls = NULL;
  if (io->fd >= 0) close(io->fd);
  io->fd = -1;
}
