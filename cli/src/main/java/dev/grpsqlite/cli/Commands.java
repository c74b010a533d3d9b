package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Session.At;
import java.time.DateTimeException;
import java.time.Instant;
import java.time.OffsetDateTime;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Option;

/** What commands have in common. */
final class Commands {
  private Commands() {}

  /** What picocli has set before a command runs. */
  static <T> T of(@Nullable T given) {
    if (given == null) {
      throw new IllegalStateException("picocli did not set it");
    }
    return given;
  }

  /** Which version is meant. */
  static final class Choice {
    @ArgGroup private @Nullable Given given;

    /** One of two. */
    static final class Given {
      @Option(names = "--version", paramLabel = "N", description = "The database at this version.")
      private @Nullable Long version;

      @Option(
          names = "--at",
          paramLabel = "TIME",
          description = "The database at this time, e.g. 2026-01-31T10:00:00Z.")
      private @Nullable String at;
    }

    At at() {
      if (given == null) {
        return At.HEAD;
      }
      if (given.version != null && given.version < 0) {
        throw new Refusal(Kind.USAGE, "there is no version " + given.version);
      }
      return new At(given.version, given.at == null ? null : time(given.at));
    }

    private static Instant time(String text) {
      try {
        return OffsetDateTime.parse(text).toInstant();
      } catch (DateTimeException e) {
        throw new Refusal(
            Kind.USAGE, "'" + text + "' is no time like 2026-01-31T10:00:00Z (RFC 3339)");
      }
    }
  }
}
