package dev.grpsqlite.conformance;

import static dev.grpsqlite.conformance.Rule.required;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** Files of the file service as bytes. */
final class FileByteRules {
  private static final int PAGE = 512;
  private static final int MIB = 1 << 20;

  private FileByteRules() {}

  static final List<Rule> ALL =
      List.of(
          required(
              "FILE-20",
              Need.FILE,
              "What Write wrote is what Read reads, at whatever offset and length: SQLite reads"
                  + " 100 bytes at 0, 16 at 24, and across pages.",
              FileByteRules::readsWhatWasWritten),
          required(
              "FILE-21",
              Need.FILE,
              "A read that goes past the end is answered short, one that begins there or behind"
                  + " it empty; never filled up, never an error.",
              FileByteRules::shortReads),
          required(
              "FILE-22",
              Need.FILE,
              "A Write behind the end grows the file; what lies between reads as zeros.",
              FileByteRules::gapsAreZeros),
          required(
              "FILE-23",
              Need.FILE,
              "GetFileSize is where the last written byte ends, to the byte for journals and in"
                  + " whole pages for the main file; 0 for a file that does not exist.",
              FileByteRules::sizes),
          required(
              "FILE-24",
              Need.FILE,
              "A Write into the middle leaves every other byte as it was.",
              FileByteRules::writesTouchNothingElse),
          required(
              "FILE-25",
              Need.FILE,
              "Truncate cuts a file to a size, or fills it up with zeros; what was cut off does"
                  + " not come back when it grows again.",
              FileByteRules::truncates),
          required(
              "FILE-26",
              Need.FILE,
              "Delete removes a file: its size is 0, it reads as empty. Deleting what does not"
                  + " exist succeeds.",
              FileByteRules::deletes),
          required(
              "FILE-27",
              Need.FILE,
              "The files of a database (NAME, NAME-journal, NAME-wal) have contents of their own:"
                  + " writing, truncating or deleting one touches no other.",
              FileByteRules::filesAreApart),
          required(
              "FILE-28",
              Need.FILE,
              "Files of different databases have contents of their own.",
              FileByteRules::databasesAreApart),
          required(
              "FILE-29",
              Need.FILE,
              "What was written under one lease is there under the next, journals included: they"
                  + " are what SQLite recovers from.",
              FileByteRules::survivesTheLease),
          required(
              "FILE-30",
              Need.FILE,
              "A Write and a Read of 3 MiB go through in one message.",
              FileByteRules::largeMessages),
          required(
              "FILE-31",
              Need.FILE,
              "A long series of writes and truncations leaves the same bytes as on a local file.",
              FileByteRules::randomSeries),
          required(
              "FILE-32",
              Need.FILE,
              "The checksum of an answer to Read is 0 or the XXH3-64 (seed 0) of the bytes that"
                  + " were asked for.",
              FileByteRules::checksumOfAnAnswer),
          required(
              "FILE-33",
              Need.FILE,
              "Read with the checksum of the caller's copy is answered with the data, or, if the"
                  + " copy is right, empty and with the same checksum. A wrong copy is always"
                  + " answered with the data.",
              FileByteRules::checksumOfACopy));

  private static void readsWhatWasWritten(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] first = Bytes.header(PAGE, 1);
    byte[] second = Bytes.random(PAGE, 2);
    client.write(0, first);
    client.write(PAGE, second);
    client.expectRead(Arrays.copyOf(first, 100), 0, 100, "100 bytes at 0");
    client.expectRead(Arrays.copyOfRange(first, 24, 40), 24, 16, "16 bytes at 24");
    client.expectRead(second, PAGE, PAGE, "the second page");
    byte[] across = new byte[20];
    System.arraycopy(first, PAGE - 10, across, 0, 10);
    System.arraycopy(second, 0, across, 10, 10);
    client.expectRead(across, PAGE - 10, 20, "20 bytes across two pages");
    client.expectRead(new byte[0], 100, 0, "no bytes");
  }

  private static void shortReads(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    client.write(client.journal(), 0, Bytes.text("journal"));
    client.expectRead(
        Arrays.copyOfRange(page, PAGE - 12, PAGE),
        PAGE - 12,
        4096,
        "4096 bytes, 12 before the end");
    client.expectRead(new byte[0], PAGE, 100, "a read at the end");
    client.expectRead(new byte[0], 1L << 40, 100, "a read far behind the end");
    client.expectRead(client.journal(), Bytes.text("nal"), 4, 100, "100 bytes at 4 of 7");
    client.expectRead(client.database + "-wal", new byte[0], 0, 100, "a file that does not exist");
  }

  private static void gapsAreZeros(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.write(0, Bytes.header(PAGE, 1));
    byte[] far = Bytes.random(PAGE, 2);
    client.write(20 * PAGE, far);
    Expect.equal(21L * PAGE, client.size(), "the size after a write behind the end");
    client.expectRead(new byte[19 * PAGE], PAGE, 19 * PAGE, "the gap");
    client.expectRead(far, 20 * PAGE, PAGE, "what was written behind the gap");
    client.write(client.journal(), 1000, Bytes.text("x"));
    byte[] journal = new byte[1001];
    journal[1000] = 'x';
    client.expectRead(client.journal(), journal, 0, 5000, "a journal that begins with a gap");
  }

  private static void sizes(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    Expect.equal(0L, client.size(), "the size of an empty database");
    Expect.equal(0L, client.size(client.journal()), "the size of a journal that does not exist");
    client.write(0, Bytes.header(PAGE, 1));
    client.write(2 * PAGE, Bytes.random(PAGE, 2));
    client.write(PAGE, Bytes.random(PAGE, 3));
    Expect.equal(3L * PAGE, client.size(), "the size of three pages");
    client.write(client.journal(), 0, Bytes.text("journal"));
    client.write(client.journal(), 2, Bytes.text("u"));
    Expect.equal(7L, client.size(client.journal()), "the size of a journal of 7 bytes");
    client.write(client.journal(), 7, Bytes.text("s"));
    Expect.equal(8L, client.size(client.journal()), "the size of a journal of 8 bytes");
  }

  private static void writesTouchNothingElse(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] file = Bytes.header(4 * PAGE, 1);
    System.arraycopy(Bytes.header(PAGE, 1), 0, file, 0, PAGE);
    client.write(0, file);
    byte[] patch = Bytes.random(37, 2);
    for (int offset : new int[] {100, PAGE - 20, 2 * PAGE, 4 * PAGE - 37}) {
      client.write(offset, patch);
      System.arraycopy(patch, 0, file, offset, patch.length);
      client.expectRead(file, 0, file.length, "the file after 37 bytes were written at " + offset);
    }
    Expect.equal((long) file.length, client.size(), "the size after writes into the middle");
  }

  private static void truncates(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] first = Bytes.header(PAGE, 1);
    client.write(0, first);
    client.write(PAGE, Bytes.random(3 * PAGE, 2));
    client.truncate(PAGE);
    Expect.equal((long) PAGE, client.size(), "the size after Truncate to one page");
    client.expectRead(new byte[0], PAGE, PAGE, "what was cut off");
    client.truncate(3 * PAGE);
    Expect.equal(3L * PAGE, client.size(), "the size after Truncate to three pages");
    byte[] grown = Arrays.copyOf(first, 3 * PAGE);
    client.expectRead(grown, 0, 4 * PAGE, "a file that was cut off and has grown again");
    client.write(client.journal(), 0, Bytes.text("journal"));
    client.truncate(client.journal(), 3);
    client.expectRead(client.journal(), Bytes.text("jou"), 0, 100, "a journal cut to 3 bytes");
    client.truncate(client.journal(), 0);
    Expect.equal(0L, client.size(client.journal()), "the size of a journal cut to nothing");
  }

  private static void deletes(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    client.write(client.journal(), 0, Bytes.text("journal"));
    client.delete(client.journal());
    client.delete(client.journal());
    Expect.equal(0L, client.size(client.journal()), "the size of a deleted journal");
    client.expectRead(client.journal(), new byte[0], 0, 100, "a deleted journal");
    client.write(client.journal(), 2, Bytes.text("x"));
    client.expectRead(
        client.journal(), new byte[] {0, 0, 'x'}, 0, 100, "a journal that was made again");
  }

  private static void filesAreApart(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    String wal = client.database + "-wal";
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    client.write(client.journal(), 0, Bytes.text("journal"));
    client.write(wal, 0, Bytes.text("wal"));
    client.expectRead(client.journal(), Bytes.text("journal"), 0, 100, "the journal");
    client.expectRead(page, 0, 2 * PAGE, "the main file beside a journal");
    client.truncate(wal, 0);
    client.delete(wal);
    client.expectRead(client.journal(), Bytes.text("journal"), 0, 100, "the journal");
    client.delete(client.journal());
    Expect.equal((long) PAGE, client.size(), "the main file when its journal was deleted");
    client.expectRead(page, 0, PAGE, "the main file when its journal was deleted");
  }

  private static void databasesAreApart(Trial trial) throws Exception {
    FileClient one = trial.files().acquire();
    FileClient two = trial.files().acquire();
    one.write(0, Bytes.header(PAGE, 1));
    two.write(0, Bytes.header(PAGE, 2));
    one.write(one.journal(), 0, Bytes.text("one"));
    one.expectRead(Bytes.header(PAGE, 1), 0, PAGE, "the first database");
    two.expectRead(Bytes.header(PAGE, 2), 0, PAGE, "the second database");
    Expect.equal(0L, two.size(two.journal()), "the second database's journal");
  }

  private static void survivesTheLease(Trial trial) throws Exception {
    FileClient first = trial.files().acquire();
    first.write(0, Bytes.header(PAGE, 1));
    first.write(first.journal(), 0, Bytes.text("hot journal"));
    first.close(first.database);
    FileClient next = first.another().acquire();
    next.expectRead(Bytes.header(PAGE, 1), 0, PAGE, "the main file, under the next lease");
    next.expectRead(
        next.journal(), Bytes.text("hot journal"), 0, 100, "the journal, under the next lease");
  }

  private static void largeMessages(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] data = Bytes.random(3 * MIB, 1);
    System.arraycopy(Bytes.header(4096, 1), 0, data, 0, 4096);
    client.write(0, data);
    client.expectRead(data, 0, data.length, "3 MiB in one message");
  }

  private static void randomSeries(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    long seed = Long.getLong("grpsqlite.seed", System.nanoTime());
    SplittableRandom random = new SplittableRandom(seed);
    String main = "the main file, after step ";
    String again =
        " of the series with seed " + seed + " (again with -Dgrpsqlite.seed=" + seed + ")";
    byte[] file = Bytes.header(PAGE, 0);
    byte[] journal = new byte[0];
    client.write(0, file);
    for (int step = 1; step <= 60; step++) {
      if (random.nextInt(5) == 0) {
        int pages = 1 + random.nextInt(30);
        client.truncate((long) pages * PAGE);
        file = Arrays.copyOf(file, pages * PAGE);
        int bytes = random.nextInt(3000);
        client.truncate(client.journal(), bytes);
        journal = Arrays.copyOf(journal, bytes);
      } else {
        int offset = PAGE * (1 + random.nextInt(30));
        byte[] data = Bytes.random(PAGE * (1 + random.nextInt(4)), step);
        client.write(offset, data);
        file = patched(file, offset, data);
        offset = random.nextInt(3000);
        data = Bytes.random(1 + random.nextInt(700), step);
        client.write(client.journal(), offset, data);
        journal = patched(journal, offset, data);
      }
      int from = random.nextInt(file.length);
      int length = random.nextInt(5000);
      client.expectRead(
          Arrays.copyOfRange(file, from, Math.min(file.length, from + length)),
          from,
          length,
          main + step + again);
      Expect.equal((long) file.length, client.size(), main + step + again);
    }
    client.expectRead(file, 0, file.length, main + "60" + again);
    client.expectRead(client.journal(), journal, 0, 10_000, "the journal" + again);
  }

  private static byte[] patched(byte[] file, int offset, byte[] data) {
    byte[] result = Arrays.copyOf(file, Math.max(file.length, offset + data.length));
    System.arraycopy(data, 0, result, offset, data.length);
    return result;
  }

  private static void checksumOfAnAnswer(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    long checksum = client.readAt(100, 200, 0).getChecksum();
    Expect.that(
        checksum == 0 || checksum == Bytes.checksum(Arrays.copyOfRange(page, 100, 300)),
        "the checksum of 200 bytes is neither 0 nor their XXH3-64 but "
            + Long.toUnsignedString(checksum));
  }

  private static void checksumOfACopy(Trial trial) throws Exception {
    FileClient client = trial.files().acquire();
    byte[] page = Bytes.header(PAGE, 1);
    client.write(0, page);
    byte[] part = Arrays.copyOfRange(page, 100, 300);
    long checksum = Bytes.checksum(part);
    var right =
        client
            .stub()
            .read(client.readRequest(client.database, 100, 200).setChecksum(checksum).build());
    if (right.getData().isEmpty()) {
      Expect.equal(checksum, right.getChecksum(), "the checksum of an answer without data");
    } else {
      Expect.bytes(part, right.getData().toByteArray(), "a read with the checksum of a right copy");
    }
    var wrong =
        client
            .stub()
            .read(client.readRequest(client.database, 100, 200).setChecksum(checksum + 1).build());
    Expect.bytes(part, wrong.getData().toByteArray(), "a read with the checksum of a wrong copy");
    byte[] changed = Bytes.random(200, 7);
    client.write(100, changed);
    var old =
        client
            .stub()
            .read(client.readRequest(client.database, 100, 200).setChecksum(checksum).build());
    Expect.bytes(changed, old.getData().toByteArray(), "a read with the checksum of an old copy");
  }
}
