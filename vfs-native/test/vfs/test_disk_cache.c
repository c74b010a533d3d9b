/*
** The cache on disk as its header promises it: pages come back, as they were, for the versions at
** which they hold.
*/
#include "vfs/disk_history.h"

static void what_did_not_change_is_there(void) {
  CASE("pages are there for who comes later, as far as they have not changed since");
  gsq_disk_cache *cache = filled(10);
  CHECK_INT(PAGES, held(cache, 10));
  CHECK_INT(0, held(cache, 11));
  learn(cache, 12);
  CHECK_INT(unchanged(10, 12), held(cache, 12));
  CHECK_INT(PAGES, held(cache, 10));
  gsq_disk_cache_close(cache);

  CASE("what is known of changes is there too: who comes next asks for those after it");
  cache = open_at(15);
  CHECK_INT(12, known(cache));
  CHECK(gsq_disk_cache_waits(cache, 15));
  CHECK_INT(0, held(cache, 12));
  learn(cache, 15);
  CHECK(!gsq_disk_cache_waits(cache, 15));
  CHECK_INT(unchanged(10, 15), held(cache, 15));

  CASE("one that is read again is there again; one that is old takes nobody's place");
  put_all(cache, 15);
  put_all(cache, 11);
  gsq_disk_cache_close(cache);
  cache = open_at(15);
  CHECK_INT(PAGES, held(cache, 15));

  CASE("after a change of all pages, or of more than the server tells, none is there");
  learn_of(cache, 15, 16, 1);
  CHECK_INT(0, held(cache, 16));
  put(cache, 7, 16);
  gsq_disk_cache_close(cache);
  cache = open_at(16);
  CHECK_INT(1, held(cache, 16));
  CHECK_INT(1, get(cache, 7, 16));
  gsq_disk_cache_close(cache);
}

static void unasked_pages_are_written_once(void) {
  CASE("what came unasked is not written again, unless what is there is of no use any more");
  uint8_t bytes[PAGE_SIZE];
  gsq_disk_cache *cache = filled(10);
  learn(cache, 12);
  learn_of(cache, 12, 13, 1);
  const gsq_snapshot now = at(13);
  const void *data = content(3, 13, bytes);
  gsq_disk_cache_put(cache, 3, written_at(3, 13), &now, 0, data);
  gsq_disk_cache_close(cache);
  cache = open_at(13);
  CHECK_INT(1, get(cache, 3, 13));
  gsq_disk_cache_close(cache);
}

static void another_database_has_nothing_of_it(void) {
  CASE(
      "another database of the folder, or a smaller page, finds nothing of it; both live "
      "there");
  gsq_error error = {0};
  const gsq_id other_id = {{9}};
  const gsq_snapshot seen = at(10);
  gsq_disk_cache *cache = filled(10);
  gsq_disk_cache *other = gsq_disk_cache_open(disk_folder, MIB, &other_id, &seen, &error);
  CHECK_INT(0, held(other, 10));
  uint8_t bytes[4096];
  uint64_t from;
  const gsq_snapshot small = {.version = 10, .page_size = 512, .page_count = PAGES};
  for (uint32_t page = 1; page <= PAGES; page++) {
    CHECK(!gsq_disk_cache_get(cache, page, &small, bytes, &from));
  }
  put_all(other, 10);
  gsq_disk_cache_close(other);
  gsq_disk_cache_close(cache);
  cache = open_at(10);
  other = gsq_disk_cache_open(disk_folder, MIB, &other_id, &seen, &error);
  CHECK(held(cache, 10) > PAGES * 9 / 10);
  CHECK(held(other, 10) > PAGES * 9 / 10);
  gsq_disk_cache_close(other);
  gsq_disk_cache_close(cache);
}

/* A server that is not where it was. */

static gsq_disk_cache *open_in_other_history(uint64_t version) {
  gsq_error error = {0};
  gsq_snapshot seen = at(version);
  seen.mark ^= 1;
  return gsq_disk_cache_open(disk_folder, MIB, &id, &seen, &error);
}

static void another_history_is_noticed(void) {
  CASE("the version that is known, with another mark: nothing is used, and all is dropped");
  gsq_disk_cache_close(filled(10));
  gsq_disk_cache *cache = open_in_other_history(10);
  CHECK_INT(0, held(cache, 10));
  put_all(cache, 10);
  gsq_disk_cache_close(cache);
  cache = open_in_other_history(10);
  CHECK_INT(0, held(cache, 10));
  put_all(cache, 10);
  gsq_disk_cache_close(cache);
  cache = open_in_other_history(10);
  CHECK_INT(PAGES, held(cache, 10));
  gsq_disk_cache_close(cache);

  CASE("at another version nothing is used before that one was confirmed");
  gsq_disk_cache_close(filled(10));
  const uint64_t elsewhere[] = {8, 12};
  for (int i = 0; i < 2; i++) {
    const gsq_have right = have_at(10), wrong = {10, right.mark ^ 1}, other = have_at(9);
    cache = open_at(elsewhere[i]);
    CHECK(gsq_disk_cache_waits(cache, 0));
    gsq_disk_cache_confirm(cache, &wrong);
    gsq_disk_cache_confirm(cache, &other);
    learn_of(cache, 8, 12, 0);
    CHECK_INT(0, held(cache, 10));
    gsq_disk_cache_confirm(cache, &right);
    CHECK_INT(PAGES, held(cache, 10));
    gsq_disk_cache_close(cache);
  }

  CASE("what was found to be of another history has nothing, takes nothing, and is dropped");
  cache = open_at(12);
  gsq_have have;
  CHECK(gsq_disk_cache_have(cache, &have));
  gsq_disk_cache_forget(cache);
  CHECK(!gsq_disk_cache_have(cache, &have));
  CHECK(!gsq_disk_cache_waits(cache, 12));
  learn(cache, 12);
  put_all(cache, 12);
  CHECK_INT(0, held(cache, 10));
  CHECK_INT(0, held(cache, 12));
  gsq_disk_cache_close(cache);
  cache = open_at(12);
  CHECK_INT(12, known(cache));
  CHECK_INT(0, held(cache, 10));
  gsq_disk_cache_close(cache);

  CASE("who still has the versions of before writes nothing down over those of now");
  cache = filled(10);
  gsq_disk_cache *now = open_in_other_history(10);
  gsq_disk_cache_close(now);
  now = open_at(9);
  learn(cache, 12);
  gsq_disk_cache_close(cache);
  gsq_disk_cache_close(now);
  now = open_at(12);
  CHECK_INT(9, known(now));
  learn(now, 12);
  CHECK_INT(0, held(now, 10));
  gsq_disk_cache_close(now);

  CASE("from a server that tells no marks, the number is enough");
  gsq_error error = {0};
  gsq_snapshot unmarked = at(10);
  unmarked.mark = 0;
  gsq_disk_cache_close(filled(10));
  cache = gsq_disk_cache_open(disk_folder, MIB, &id, &unmarked, &error);
  CHECK_INT(PAGES, held(cache, 10));
  gsq_disk_cache_close(cache);
}

static void the_newest_knowledge_stays(void) {
  CASE("who knows less writes nothing down over who knows more");
  gsq_disk_cache *behind = filled(10);
  gsq_disk_cache *ahead = open_at(10);
  learn(ahead, 15);
  learn(behind, 12);
  gsq_disk_cache_close(ahead);
  gsq_disk_cache_close(behind);
  gsq_disk_cache *next = open_at(20);
  CHECK_INT(15, known(next));
  gsq_disk_cache_close(next);
}

int main(void) {
  if (!disk_make_folder()) return check_done();
  what_did_not_change_is_there();
  unasked_pages_are_written_once();
  another_database_has_nothing_of_it();
  another_history_is_noticed();
  the_newest_knowledge_stays();
  disk_remove_folder();
  return check_done();
}
