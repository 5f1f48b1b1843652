/*
 * Stands in for the hypervisor, so that Debian's real xenstored runs on a plain Linux host.
 *
 *     XENSTORED_RUNDIR=$dir LD_PRELOAD=shim.so xenstored -N --pid-file=$dir/pid
 *
 * The functions below replace those of libxenctrl, libxenevtchn and libxengnttab that xenstored 4.17 calls, and the
 * two files by which the kernel hands xenstored the store ring of domain 0. Everything else is the real thing:
 * clients connect to $dir/socket. What a hypervisor would do is done through files in $dir:
 *
 *   ring.N   the store ring of domain N (4096 bytes); map it to play that guest
 *   dead.N   domain N is gone when the file is empty, shut down when it holds "s", dying when it holds "d"
 *   virq     a FIFO: one byte written makes xenstored look at its domains, as VIRQ_DOM_EXC does
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096, PATH_BYTES = 4096 };

/* What the calls below return where the caller only asks whether it is NULL. */
static int handle;

/* The path of `name`, or of `name`.`domid` when domid is not negative. */
static void path_of(char path[PATH_BYTES], const char *name, int64_t domid)
{
	const char *dir = getenv("XENSTORED_RUNDIR");

	if (!dir)
		dir = "/run/xenstored";
	if (domid < 0)
		snprintf(path, PATH_BYTES, "%s/%s", dir, name);
	else
		snprintf(path, PATH_BYTES, "%s/%s.%lld", dir, name, (long long)domid);
}

/* --- The files of domain 0's store ring --- */

static int is_file_of(const char *path, const char *name)
{
	const char *base = strrchr(path, '/');

	return base && !strcmp(base + 1, name) && (!strncmp(path, "/proc/xen/", 10) || !strncmp(path, "/dev/xen/", 9));
}

/* A descriptor that stands in for `path`, -1 when that failed, -2 when `path` is none of ours. */
static int stand_in(const char *path)
{
	int fd;

	if (is_file_of(path, "xsd_kva")) {
		fd = memfd_create("xsd_kva", 0);
		if (fd >= 0 && ftruncate(fd, PAGE_BYTES))
			return -1;
		return fd;
	}
	if (is_file_of(path, "xsd_port")) {
		fd = memfd_create("xsd_port", 0);
		if (fd >= 0 && (write(fd, "1", 1) != 1 || lseek(fd, 0, SEEK_SET)))
			return -1;
		return fd;
	}
	return -2;
}

#define INTERCEPT(name)                                                         \
	int name(const char *path, int flags, ...)                              \
	{                                                                       \
		static int (*real)(const char *, int, ...);                     \
		mode_t mode = 0;                                                \
		va_list args;                                                   \
		int fd = stand_in(path);                                        \
                                                                                \
		if (fd != -2)                                                   \
			return fd;                                              \
		if (!real)                                                      \
			real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name); \
		if (flags & (O_CREAT | __O_TMPFILE)) {                          \
			va_start(args, flags);                                  \
			mode = va_arg(args, mode_t);                            \
			va_end(args);                                           \
		}                                                               \
		return real(path, flags, mode);                                 \
	}
INTERCEPT(open)
INTERCEPT(open64)

/* --- libxenctrl --- */

/* The head of xc_dominfo_t (tools/include/xenctrl.h); flags start with dying, crashed, shutdown. */
struct domain_info {
	uint32_t domid;
	uint32_t ssidref;
	uint32_t flags;
};
enum { DYING = 1 << 0, SHUTDOWN = 1 << 2 };

void *xc_interface_open(void *logger, void *dombuild_logger, unsigned flags)
{
	(void)logger, (void)dombuild_logger, (void)flags;
	return &handle;
}

int xc_interface_close(void *xch)
{
	(void)xch;
	return 0;
}

int xc_domain_getinfo(void *xch, uint32_t first, unsigned max, struct domain_info *info)
{
	char path[PATH_BYTES], state = 0;
	int fd, bytes;

	(void)xch, (void)max;
	info->domid = first;
	info->ssidref = 0;
	info->flags = 0;
	path_of(path, "dead", first);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 1;
	bytes = read(fd, &state, 1);
	close(fd);
	if (bytes != 1)
		return 0;
	info->flags = state == 'd' ? DYING | SHUTDOWN : SHUTDOWN;
	return 1;
}

/* --- libxenevtchn --- */

enum { VIRQ_PORT = 99, FIRST_PORT = 100 };
static int virq_fd = -1, next_port = FIRST_PORT;

void *xenevtchn_open(void *logger, unsigned flags)
{
	char path[PATH_BYTES];

	(void)logger, (void)flags;
	path_of(path, "virq", -1);
	unlink(path);
	if (mkfifo(path, 0600))
		return NULL;
	virq_fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return virq_fd < 0 ? NULL : &handle;
}

void *xenevtchn_fdopen(void *logger, int fd, unsigned flags)
{
	(void)fd;
	return xenevtchn_open(logger, flags);
}

int xenevtchn_fd(void *xce)
{
	(void)xce;
	return virq_fd;
}

int xenevtchn_bind_virq(void *xce, unsigned virq)
{
	(void)xce, (void)virq;
	return VIRQ_PORT;
}

int xenevtchn_bind_interdomain(void *xce, uint32_t domid, uint32_t port)
{
	(void)xce, (void)domid, (void)port;
	return next_port++;
}

int xenevtchn_unbind(void *xce, uint32_t port)
{
	(void)xce, (void)port;
	return 0;
}

int xenevtchn_notify(void *xce, uint32_t port)
{
	(void)xce, (void)port;
	return 0;
}

int xenevtchn_unmask(void *xce, uint32_t port)
{
	(void)xce, (void)port;
	return 0;
}

int xenevtchn_pending(void *xce)
{
	char byte;

	(void)xce;
	return read(virq_fd, &byte, 1) == 1 ? VIRQ_PORT : -1;
}

/* --- libxengnttab --- */

void *xengnttab_open(void *logger, unsigned flags)
{
	(void)logger, (void)flags;
	return &handle;
}

int xengnttab_close(void *xgt)
{
	(void)xgt;
	return 0;
}

int xengnttab_set_max_grants(void *xgt, uint32_t count)
{
	(void)xgt, (void)count;
	return 0;
}

void *xengnttab_map_grant_ref(void *xgt, uint32_t domid, uint32_t reference, int protection)
{
	char path[PATH_BYTES];
	void *page;
	int fd;

	(void)xgt, (void)reference;
	path_of(path, "ring", domid);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	page = ftruncate(fd, PAGE_BYTES) ? MAP_FAILED : mmap(NULL, PAGE_BYTES, protection, MAP_SHARED, fd, 0);
	close(fd);
	return page == MAP_FAILED ? NULL : page;
}

int xengnttab_unmap(void *xgt, void *start, uint32_t count)
{
	(void)xgt;
	return munmap(start, (size_t)count * PAGE_BYTES);
}
