package dev.grpsqlite.e2e.history;

import static dev.grpsqlite.e2e.history.Histories.kinds;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.grpsqlite.e2e.history.Violation.Anomaly;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Histories as clients write them, of a bank of two accounts with 100 each. */
class VerdictTest {
  @TempDir Path folder;

  private Verdict of(String... lines) throws Exception {
    Path file = folder.resolve("history");
    Files.writeString(file, String.join("\n", lines).replace(' ', '\t').replace('_', ' ') + "\n");
    return Verdict.of(History.read(List.of(file)), 2, 100);
  }

  @Test
  void aKilledClientsTransactionIsFoundByItsMark() throws Exception {
    String[] lines = {
      "begin a bank 1 m0:1,30", "begin f bank 9 b0:", "end f OK 10 0 b0:70,130", "mark bank a"
    };
    Verdict there = of(lines);
    assertEquals(List.of(), there.violations());
    assertEquals(1, there.whole());
    lines[2] = "end f OK 10 0 b0:100,100";
    assertEquals(List.of(Anomaly.LOST_COMMIT), kinds(of(lines).violations()));
    lines[3] = "";
    Verdict absent = of(lines[0], lines[1], lines[2]);
    assertEquals(List.of(), absent.violations());
    assertEquals(1, absent.absent());
  }

  @Test
  void aLineThatWasCutOffIsLeftOut() throws Exception {
    Path file = folder.resolve("cut");
    Files.writeString(file, "begin\ta\tbank\t1\tm0:1,30\nend\ta\tO");
    assertEquals(Outcome.UNKNOWN, History.read(List.of(file)).transactions().get(0).outcome());
  }

  @Test
  void marksAndOutcomesAgree() throws Exception {
    assertEquals(
        List.of(Anomaly.LOST_COMMIT),
        kinds(
            of(
                    "begin a list 1 a1:5",
                    "end a OK 2 0 a1:5",
                    "begin f list 8 l1:5",
                    "end f OK 9 0 l1:5")
                .violations()));
    assertEquals(
        List.of(Anomaly.FAILED_BUT_APPLIED),
        kinds(of("begin a list 1 a1:5", "end a FAIL 2 5 a1:5", "mark list a").violations()));
    assertEquals(
        List.of(Anomaly.APPLIED_TWICE),
        kinds(
            of("begin a bank 1 m0:1,30", "end a OK 2 0 m0:1,30", "mark bank a", "mark bank a")
                .violations()));
  }

  @Test
  void moneyThatIsMade() throws Exception {
    assertEquals(
        List.of(Anomaly.LOST_COMMIT, Anomaly.WRONG_SUM),
        kinds(of("begin f bank 8 b0:", "end f OK 9 0 b0:100,110").violations()));
  }

  @Test
  void halfOfATransactionOverTwoDatabases() throws Exception {
    assertEquals(
        List.of(Anomaly.NOT_WHOLE),
        kinds(of("begin a pair 1 m0:2,30", "end a OK 2 0 m0:2,30", "mark pair a").violations()));
  }

  @Test
  void anErrorThatNothingExplains() throws Exception {
    assertEquals(
        List.of(Anomaly.WRONG_ERROR),
        kinds(of("begin a list 1 a1:5", "end a FAIL 2 11 a1:5").violations()));
  }
}
