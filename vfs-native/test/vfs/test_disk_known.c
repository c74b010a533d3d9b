/* What is known of changes: never more than is true, and no less than was told. */
#include "check.h"
#include "vfs/disk_known.h"
#include "vfs/random.h"

#define LEARN(known, from, to, ...)                                             \
  gsq_known_learn((known), (from), (to), 0, 0, (const uint32_t[]){__VA_ARGS__}, \
                  sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void an_image_holds_until_its_page_changes(void) {
  CASE(
      "an image is known to hold up to where changes are known, unless its page is among them");
  gsq_known known = {0};
  gsq_known_restart(&known, 10, 0);
  CHECK_INT(10, gsq_known_until(&known, 1, 10));
  CHECK(LEARN(&known, 10, 12, 3, 5));
  CHECK_INT(12, gsq_known_until(&known, 1, 10));
  CHECK_INT(10, gsq_known_until(&known, 3, 10));
  CHECK_INT(11, gsq_known_until(&known, 5, 11));
  CHECK_INT(12, gsq_known_until(&known, 5, 12));
  CHECK(LEARN(&known, 12, 20, 5));
  CHECK_INT(20, gsq_known_until(&known, 1, 10));
  CHECK_INT(20, gsq_known_until(&known, 3, 12));
  CHECK_INT(12, gsq_known_until(&known, 5, 12));

  CASE("of what was seen before anything was known, or after, only that is known");
  CHECK_INT(9, gsq_known_until(&known, 1, 9));
  CHECK_INT(25, gsq_known_until(&known, 1, 25));

  CASE(
      "what is known from a version on that is above all, or up to one below it, is not "
      "learnt");
  CHECK(!LEARN(&known, 21, 22, 1));
  CHECK(!LEARN(&known, 5, 19, 1));
  CHECK(!LEARN(&known, 20, 20, 1));
  CHECK_INT(20, gsq_known_until(&known, 1, 10));
  CHECK(LEARN(&known, 15, 22, 1));
  CHECK_INT(10, gsq_known_until(&known, 1, 10));

  CASE("after a change of all pages nothing older holds");
  CHECK(gsq_known_learn(&known, 22, 30, 7, 1, NULL, 0));
  CHECK_INT(7, (long long)known.mark);
  CHECK_INT(22, gsq_known_until(&known, 7, 22));
  CHECK_INT(30, gsq_known_until(&known, 7, 30));
  CHECK(gsq_known_learn(&known, 30, 31, 8, 0, NULL, 0));
  CHECK(!gsq_known_learn(&known, 30, 31, 9, 0, NULL, 0));
  CHECK_INT(8, (long long)known.mark);
  CHECK_INT(31, gsq_known_until(&known, 7, 30));
  gsq_known_free(&known);
}

static void high_pages_share(void) {
  CASE(
      "pages beyond the room share entries: a change of one counts for both, whenever room "
      "grew");
  gsq_known known = {0};
  gsq_known_restart(&known, 0, 0);
  CHECK(LEARN(&known, 0, 1, 2));
  CHECK(LEARN(&known, 1, 2, 1000));
  CHECK_INT(0, gsq_known_until(&known, 2, 0));
  CHECK_INT(2, gsq_known_until(&known, 3, 0));
  CHECK_INT(2, gsq_known_until(&known, 999, 0));
  CHECK(LEARN(&known, 2, 3, GSQ_KNOWN_PAGES + 3, UINT32_MAX, 0));
  CHECK_INT(GSQ_KNOWN_PAGES, known.room);
  CHECK_INT(0, gsq_known_until(&known, 3, 0));
  CHECK_INT(2, gsq_known_until(&known, GSQ_KNOWN_PAGES + 3, 2));
  CHECK_INT(0, gsq_known_until(&known, UINT32_MAX, 0));
  CHECK_INT(3, gsq_known_until(&known, 4, 0));
  gsq_known_free(&known);
}

#define PAGES 200
#define VERSIONS 400

static uint8_t changed_at[VERSIONS + 1][PAGES + 1];

/* The last version at which what page has at `seen` is there unchanged. */
static uint64_t true_until(uint32_t page, uint64_t seen, uint64_t last) {
  while (seen < last && !changed_at[seen + 1][page]) seen++;
  return seen;
}

static void random_histories(uint64_t seed) {
  uint64_t random = seed;
  for (int v = 1; v <= VERSIONS; v++) {
    for (int p = 1; p <= PAGES; p++) changed_at[v][p] = random_below(&random, 40) == 0;
  }
  gsq_known known = {0};
  gsq_known_restart(&known, random_below(&random, 20), 0);
  uint64_t held = 0, all_told = 0;
  while (known.through < VERSIONS) {
    const uint64_t from =
        known.through -
        random_below(&random, (uint32_t)(known.through < 5 ? known.through + 1 : 5));
    uint64_t to = from + 1 + random_below(&random, 6);
    if (to > VERSIONS) to = VERSIONS;
    uint32_t pages[PAGES];
    size_t count = 0;
    for (uint32_t p = 1; p <= PAGES; p++) {
      int changed = 0;
      for (uint64_t v = from + 1; v <= to; v++) changed |= changed_at[v][p];
      if (changed) pages[count++] = p;
    }
    gsq_known_learn(&known, from, to, 0, 0, pages, count);
    for (uint32_t p = 1; p <= PAGES; p++) {
      const uint64_t seen = random_below(&random, (uint32_t)known.through + 1);
      const uint64_t until = gsq_known_until(&known, p, seen);
      CHECK(until >= seen);
      CHECK(until <= true_until(p, seen, VERSIONS));
      held += until == known.through && seen < until;
      all_told++;
    }
  }
  CHECK(held > all_told / 20);
  gsq_known_free(&known);
}

int main(void) {
  an_image_holds_until_its_page_changes();
  high_pages_share();
  CASE("random histories: no more is known than is true");
  uint64_t seeds = random_seed("test_disk_known");
  for (int i = 0; i < 20; i++) random_histories(random_next(&seeds));
  return check_done();
}
