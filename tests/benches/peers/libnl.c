/*
 * What libnl takes for the work of the benchmark: built and started by it.
 *
 *   libnl change-pfifo IFINDEX COUNT    one qdisc 1:, COUNT times
 *   libnl change-tbf IFINDEX COUNT
 *   libnl change-classes IFINDEX COUNT  classes 1:1 to 1:COUNT, once each
 *   libnl dump-classes IFINDEX
 *   libnl dump-qdiscs 0
 *
 * Prints the nanoseconds of each operation, one a line, then "used USER SYSTEM",
 * processor time in nanoseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/route/class.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/qdisc/fifo.h>
#include <netlink/route/qdisc/htb.h>
#include <netlink/route/qdisc/tbf.h>

static struct nl_sock *sock;
static int ifindex;

static void check(int error)
{
	if (error < 0) {
		fprintf(stderr, "libnl: %s\n", nl_geterror(error));
		exit(1);
	}
}

static void *some(void *object)
{
	if (!object)
		check(-NLE_NOMEM);
	return object;
}

static void place(struct rtnl_tc *tc, uint32_t parent, uint32_t handle, const char *kind)
{
	rtnl_tc_set_ifindex(tc, ifindex);
	rtnl_tc_set_parent(tc, parent);
	rtnl_tc_set_handle(tc, handle);
	check(rtnl_tc_set_kind(tc, kind));
}

static void change_pfifo(int at)
{
	struct rtnl_qdisc *qdisc = some(rtnl_qdisc_alloc());

	place(TC_CAST(qdisc), TC_H_ROOT, 1 << 16, "pfifo");
	check(rtnl_qdisc_fifo_set_limit(qdisc, 10 + at % 2));
	check(rtnl_qdisc_add(sock, qdisc, 0));
	rtnl_qdisc_put(qdisc);
}

static void change_tbf(int at)
{
	struct rtnl_qdisc *qdisc = some(rtnl_qdisc_alloc());

	place(TC_CAST(qdisc), TC_H_ROOT, 1 << 16, "tbf");
	rtnl_qdisc_tbf_set_rate(qdisc, 125000, 1600, 0);
	rtnl_qdisc_tbf_set_limit(qdisc, 10000 + at % 2);
	check(rtnl_qdisc_add(sock, qdisc, 0));
	rtnl_qdisc_put(qdisc);
}

static void change_class(int at)
{
	struct rtnl_class *class = some(rtnl_class_alloc());

	place(TC_CAST(class), 1 << 16, 1 << 16 | (at + 1), "htb");
	check(rtnl_htb_set_rate(class, 125000));
	check(rtnl_class_add(sock, class, 0));
	rtnl_class_put(class);
}

static void dump_classes(int at)
{
	struct nl_cache *cache;

	check(rtnl_class_alloc_cache(sock, ifindex, &cache));
	nl_cache_free(cache);
}

static void dump_qdiscs(int at)
{
	struct nl_cache *cache;

	check(rtnl_qdisc_alloc_cache(sock, &cache));
	nl_cache_free(cache);
}

static const struct work {
	const char *name;
	void (*run)(int at);
} works[] = {
	{ "change-pfifo", change_pfifo }, { "change-tbf", change_tbf },
	{ "change-classes", change_class }, { "dump-classes", dump_classes },
	{ "dump-qdiscs", dump_qdiscs },
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static double ns(struct timeval time)
{
	return time.tv_sec * 1e9 + time.tv_usec * 1e3;
}

int main(int argc, char **argv)
{
	const struct work *work = NULL;
	struct rusage before, after;
	double *times;
	int at, count;

	for (at = 0; argc > 2 && at < (int)(sizeof(works) / sizeof(*works)); at++)
		if (!strcmp(works[at].name, argv[1]))
			work = &works[at];
	if (!work)
		return 2;
	ifindex = atoi(argv[2]);
	count = argc > 3 ? atoi(argv[3]) : 1;
	times = some(calloc(count, sizeof(*times)));
	sock = some(nl_socket_alloc());
	check(nl_connect(sock, NETLINK_ROUTE));

	getrusage(RUSAGE_SELF, &before);
	for (at = 0; at < count; at++) {
		double start = now();

		work->run(at);
		times[at] = now() - start;
	}
	getrusage(RUSAGE_SELF, &after);
	for (at = 0; at < count; at++)
		printf("%.0f\n", times[at]);
	printf("used %.0f %.0f\n", ns(after.ru_utime) - ns(before.ru_utime),
	       ns(after.ru_stime) - ns(before.ru_stime));
	return 0;
}
