package dev.grpsqlite.pageclient;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What becomes of calls when the program that makes them does not do its part. */
@Timeout(60)
class RelayTest {
  private static final Endpoint ENDPOINT =
      new Endpoint(
          "http://localhost",
          "a token",
          new Endpoint.Tls(null, null, null),
          Duration.ofSeconds(5),
          Duration.ofSeconds(5));

  @TempDir Path folder;

  private ServerConnection through(String script) throws IOException {
    return throughProgram("echo ready\n" + script);
  }

  private ServerConnection throughProgram(String script) throws IOException {
    Path program = Files.writeString(folder.resolve("relay"), "#!/bin/sh\n" + script + "\n");
    Files.setPosixFilePermissions(program, PosixFilePermissions.fromString("rwxr-xr-x"));
    return ServerConnection.through(Relay.start(program, ENDPOINT), ENDPOINT);
  }

  private RemoteException failure(String script) throws IOException {
    try (ServerConnection connection = through(script)) {
      return assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "exit 1",
        "read line; exit 0",
        "read line; echo nonsense; exec sleep 100",
        "read line; echo; exec sleep 100",
        "read line; echo 'end one 0 - '; exec sleep 100",
        "read line; echo 'end 1 99999999999 - '; exec sleep 100",
        "read line; echo 'message 1 -1'; exec sleep 100",
        "read line; echo 'message 1 100'; echo short",
      })
  void aCallIsOverWithTheProgram(String script) throws IOException {
    RemoteException failure = failure(script);
    assertEquals(Status.Code.INTERNAL, failure.code(), failure::toString);
    assertEquals("OUTCOME_UNKNOWN", failure.reason());
  }

  /** What the program said before it ended counts, however late it is read. */
  @Test
  void itRanIfItSaidSo() throws Exception {
    List<Thread> others = new ArrayList<>();
    for (int i = 0; i < 2 * Runtime.getRuntime().availableProcessors(); i++) {
      others.add(new Thread(RelayTest::compute));
    }
    others.forEach(Thread::start);
    try {
      for (int i = 0; i < 20; i++) {
        aCallIsOverWithTheProgram("exit 1");
      }
    } finally {
      others.forEach(Thread::interrupt);
      for (Thread other : others) {
        other.join();
      }
    }
  }

  private static void compute() {
    while (!Thread.currentThread().isInterrupted()) {
      Thread.onSpinWait();
    }
  }

  /** As when a library is missing that it needs. */
  @Test
  void whatDoesNotRunIsSaidSo() throws IOException {
    try (ServerConnection connection = throughProgram("exit 127")) {
      RemoteException failure =
          assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
      assertEquals(Status.Code.INTERNAL, failure.code());
      assertEquals("", failure.reason());
      assertTrue(failure.getMessage().contains("relay does not run here"), failure::getMessage);
    }
  }

  @Test
  void laterCallsFailAtOnce() throws IOException {
    try (ServerConnection connection = through("exit 1")) {
      for (int i = 0; i < 3; i++) {
        assertThrows(RemoteException.class, () -> Session.open(connection, "test"));
      }
    }
  }

  @Test
  void whatTheServerSaidArrives() throws IOException {
    RemoteException failure =
        failure("read line; echo 'end 1 5 NO_SUCH_DATABASE there is no x, or was'; exec sleep 100");
    assertEquals(Status.Code.NOT_FOUND, failure.code());
    assertTrue(failure.is("NO_SUCH_DATABASE"));
    assertEquals("there is no x, or was", failure.getMessage());
    assertEquals("", failure("read line; echo 'end 1 3 - bad'; exec sleep 100").reason());
  }

  /** As gRPC says it, of its own transport too. */
  @Test
  void anAnswerThatIsNoneIsAFailure() throws IOException {
    assertEquals(
        Status.Code.INTERNAL,
        failure("read line; printf 'message 1 3\\n\\377\\377\\377'; exec sleep 100").code());
    assertEquals(
        Status.Code.INTERNAL, failure("read line; echo 'end 1 0 - '; exec sleep 100").code());
    assertEquals(
        Status.Code.INTERNAL,
        failure("read line; printf 'message 1 0\\nmessage 1 0\\nend 1 0 - \\n'; exec sleep 100")
            .code());
  }

  @Test
  void theTokenIsInItsEnvironmentAndNothingElseThatTheCallerHas() throws IOException {
    RemoteException failure =
        failure(
            "read line; echo \"end 1 3 - $GRPSQLITE_TOKEN:$GRPSQLITE_CA_FILE\"; exec sleep 100");
    assertEquals("a token:", failure.getMessage());
  }
}
