package dev.grpsqlite.cli;

import dev.grpsqlite.pageclient.FileClient;
import dev.grpsqlite.pageclient.RemoteException;
import dev.grpsqlite.pageclient.ServerConnection;
import dev.grpsqlite.pageclient.Session;
import io.grpc.Status;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParentCommand;

@Command(
    name = "doctor",
    description = "Look whether all that is needed is there and works, and say what is wrong.")
final class DoctorCommand implements Callable<Integer> {
  private static final int ROUND_TRIPS = 20;
  private static final long SLOW_NANOS = 50_000_000;
  private static final long SQLITE3_SECONDS = 30;

  /** From here on sqlite3 and the extension work together. */
  private static final int OLDEST_MINOR = 35;

  @ParentCommand private @Nullable Main main;

  private final List<Map<String, Object>> findings = new ArrayList<>();
  private boolean allWell = true;

  @Override
  public Integer call() throws IOException, InterruptedException {
    Main top = Commands.of(main);
    boolean library = library();
    boolean shell = shell();
    if (library && shell) {
      loading();
    }
    server(top);
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("ok", allWell);
    shape.put("checks", findings);
    if (top.json()) {
      top.out().println(Json.of(shape));
    } else {
      for (Map<String, Object> finding : findings) {
        top.out()
            .printf(
                "%-4s %-11s %s%n",
                Boolean.TRUE.equals(finding.get("ok")) ? "ok" : "BAD",
                finding.get("check"),
                finding.get("finding"));
      }
    }
    return allWell ? 0 : 1;
  }

  private boolean found(String check, boolean ok, String finding) {
    Map<String, Object> shape = new LinkedHashMap<>();
    shape.put("check", check);
    shape.put("ok", ok);
    shape.put("finding", finding);
    findings.add(shape);
    allWell &= ok;
    return ok;
  }

  private boolean library() {
    Path library = Home.library();
    return Files.isReadable(library)
        ? found("library", true, library.toString())
        : found("library", false, "there is no extension " + library + "; make dist builds it");
  }

  private boolean shell() throws InterruptedException {
    String version;
    try {
      version = output(List.of("sqlite3", "--version"));
    } catch (IOException e) {
      return found("sqlite3", false, "sqlite3 is not installed; e.g. apt install sqlite3");
    }
    String[] parts = version.split("[ .]", -1);
    boolean old =
        parts.length > 1
            && parts[0].equals("3")
            && parts[1].matches("\\d+")
            && Integer.parseInt(parts[1]) < OLDEST_MINOR;
    return found(
        "sqlite3",
        !old,
        version.lines().findFirst().orElse("").split(" ", -1)[0]
            + (old ? " is too old; 3." + OLDEST_MINOR + " is the least" : ""));
  }

  private void loading() throws InterruptedException {
    String says;
    try {
      says =
          output(
              List.of(
                  "sqlite3",
                  "-batch",
                  // Not the user's own, which may print something, or set how rows are shown.
                  "-init",
                  "/dev/null",
                  "-cmd",
                  ".load \"" + Home.library() + "\"",
                  ":memory:",
                  "SELECT count(*) FROM pragma_function_list WHERE name = 'grpsqlite_last_error'"));
    } catch (IOException e) {
      says = String.valueOf(e.getMessage());
    }
    boolean loads = says.strip().matches("[1-9]\\d*");
    found(
        "extension",
        loads,
        loads ? "sqlite3 loads it" : "sqlite3 does not load the extension: " + says.strip());
  }

  private static String output(List<String> command) throws IOException, InterruptedException {
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    process.getOutputStream().close();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!process.waitFor(SQLITE3_SECONDS, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    return output;
  }

  private void server(Main top) throws IOException {
    boolean hasToken;
    try {
      hasToken = top.server().hasToken();
    } catch (Refusal e) {
      found("token", false, e.getMessage());
      return;
    }
    try (ServerConnection connection = top.server().connect()) {
      try (Session session = Session.open(connection, ServerOptions.clientName())) {
        found("server", true, top.server().url() + ", " + session.serverName());
        versions(session.serverName());
        found("token", true, hasToken ? "accepted" : "none, and the server lets you in");
        roundTrips(session);
        connection.health().takesWrites().ifPresent(this::storage);
      } catch (RemoteException e) {
        if (e.code() != Status.Code.UNIMPLEMENTED) {
          throw e;
        }
        FileClient files = FileClient.open(connection);
        found(
            "server",
            true,
            top.server().url()
                + ", with the file service alone, "
                + (files.hasAtomicBatch() ? "with" : "without")
                + " atomic batches; versions, forks and listings need the page service");
      }
    } catch (RemoteException e) {
      boolean reached =
          e.code() == Status.Code.UNAUTHENTICATED || e.code() == Status.Code.PERMISSION_DENIED;
      if (reached) {
        found("server", true, top.server().url());
      }
      found(reached ? "token" : "server", false, Errors.sentence(e));
    } catch (Refusal e) {
      found("server", false, e.getMessage());
    }
  }

  private void versions(String serverName) {
    boolean same = serverName.endsWith(" " + Main.version());
    found(
        "versions",
        true,
        same
            ? "the server's is this one's"
            : "this is " + Main.version() + "; others work together as far as both can");
  }

  private void storage(boolean takesWrites) {
    found(
        "storage",
        takesWrites,
        takesWrites
            ? "takes writes"
            : "takes no writes at present: its disk is full, or failed; the server's log says more");
  }

  private void roundTrips(Session session) {
    long[] nanos = new long[ROUND_TRIPS];
    for (int i = 0; i < ROUND_TRIPS; i++) {
      long begun = System.nanoTime();
      session.roundTrip();
      nanos[i] = System.nanoTime() - begun;
    }
    Arrays.sort(nanos);
    long median = nanos[ROUND_TRIPS / 2];
    found(
        "round trip",
        median < SLOW_NANOS,
        Quantity.milliseconds(median)
            + (median < SLOW_NANOS
                ? ""
                : ": far, for one commit, or one page that is not cached, takes as long; bring the"
                    + " program nearer to the server"));
  }
}
