package dev.grpsqlite.cli;

import dev.grpsqlite.cli.Refusal.Kind;
import dev.grpsqlite.pageclient.Endpoint;
import dev.grpsqlite.pageclient.Relay;
import dev.grpsqlite.pageclient.ServerConnection;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/** Which server, as the extension is told: the command line comes first, then the environment. */
final class ServerOptions {
  private static final Logger GRPC = Logger.getLogger("io.grpc");
  private static final String DEFAULT_URL = "http://127.0.0.1:50051";
  private static final String CONNECT_TIMEOUT = "GRPSQLITE_CONNECT_TIMEOUT_MS";
  private static final String TIMEOUT = "GRPSQLITE_TIMEOUT_MS";
  private static final int CONNECT_TIMEOUT_MS = 5000;
  private static final int TIMEOUT_MS = 30_000;
  private static final int DAY_MS = 24 * 60 * 60 * 1000;

  @Option(
      names = "--server",
      paramLabel = "URL",
      scope = ScopeType.INHERIT,
      description =
          "http://HOST[:PORT], https://HOST[:PORT] or unix:PATH, or several with commas, of servers"
              + " that have one store. Else GRPSQLITE_URL, else "
              + DEFAULT_URL
              + ".")
  private @Nullable String url;

  @Option(
      names = "--token",
      paramLabel = "TOKEN",
      scope = ScopeType.INHERIT,
      description =
          "Says who you are; but others on this machine can read it on a command line. Better:"
              + " --token-file, or GRPSQLITE_TOKEN.")
  private @Nullable String token;

  @Option(
      names = "--token-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "A file whose first line is the token. Else GRPSQLITE_TOKEN_FILE.")
  private @Nullable Path tokenFile;

  @Option(
      names = "--ca-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "Authorities for the server's certificate, in PEM. Else GRPSQLITE_CA_FILE.")
  private @Nullable Path authorities;

  @Option(
      names = "--cert-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "Your certificate, in PEM. Else GRPSQLITE_CERT_FILE.")
  private @Nullable Path certificate;

  @Option(
      names = "--key-file",
      paramLabel = "FILE",
      scope = ScopeType.INHERIT,
      description = "Its key, in PEM (PKCS #8). Else GRPSQLITE_KEY_FILE.")
  private @Nullable Path key;

  private static @Nullable String environment(String name, @Nullable String second) {
    String value = System.getenv(name);
    if ((value == null || value.isEmpty()) && second != null) {
      value = System.getenv(second);
    }
    return value == null || value.isEmpty() ? null : value;
  }

  private static @Nullable Path file(@Nullable Path given, String variable) {
    String name = environment(variable, null);
    return given != null ? given : name == null ? null : Path.of(name);
  }

  String url() {
    if (url != null) {
      return url;
    }
    String there = environment("GRPSQLITE_URL", "GRPC_VFS_URL");
    return there == null ? DEFAULT_URL : there;
  }

  private @Nullable String token() {
    if (token != null) {
      return token;
    }
    Path file = file(tokenFile, "GRPSQLITE_TOKEN_FILE");
    String there = environment("GRPSQLITE_TOKEN", "GRPC_VFS_CLIENT_TOKEN");
    if (tokenFile == null && there != null) {
      return there;
    }
    if (file == null) {
      return null;
    }
    try {
      return Files.readString(file, StandardCharsets.UTF_8).lines().findFirst().orElse("").strip();
    } catch (NoSuchFileException e) {
      throw new Refusal(Kind.NOT_FOUND, "there is no token file " + file);
    } catch (IOException e) {
      throw new Refusal(
          Kind.FAILED,
          "the token file "
              + file
              + " cannot be read"
              + (Files.isDirectory(file) ? ": it is a folder" : " (" + e.getMessage() + ")"));
    }
  }

  boolean hasToken() {
    return token() != null;
  }

  /** For a message that may quote the command line. */
  String withoutToken(String message) {
    return token == null || token.isEmpty() ? message : message.replace(token, "…");
  }

  /** What the extension takes, and no other. */
  static Duration milliseconds(String variable, @Nullable String value, int least, int otherwise) {
    if (value == null) {
      return Duration.ofMillis(otherwise);
    }
    boolean isNumber = value.matches("0*[0-9]{1,9}");
    int ms = isNumber ? Integer.parseInt(value) : -1;
    if (ms < least || ms > DAY_MS) {
      throw new Refusal(
          Kind.USAGE,
          variable + " is '" + value + "'; it must be a number from " + least + " to " + DAY_MS);
    }
    return Duration.ofMillis(ms);
  }

  /** 0 is the default without waiting for a server that refuses, as no command does. */
  static Duration connectTimeout(@Nullable String value) {
    Duration given = milliseconds(CONNECT_TIMEOUT, value, 0, CONNECT_TIMEOUT_MS);
    return given.isZero() ? Duration.ofMillis(CONNECT_TIMEOUT_MS) : given;
  }

  Endpoint endpoint() {
    try {
      return new Endpoint(
          url(),
          token(),
          new Endpoint.Tls(
              file(authorities, "GRPSQLITE_CA_FILE"),
              file(certificate, "GRPSQLITE_CERT_FILE"),
              file(key, "GRPSQLITE_KEY_FILE")),
          connectTimeout(environment(CONNECT_TIMEOUT, null)),
          milliseconds(TIMEOUT, environment(TIMEOUT, null), 1, TIMEOUT_MS));
    } catch (IllegalArgumentException e) {
      throw new Refusal(Kind.USAGE, String.valueOf(e.getMessage()));
    }
  }

  /**
   * Connects by {@code lib/grpsqlite_relay} where that can: what gRPC needs takes half of a short
   * command to load. The relay does not know Java's own authorities.
   */
  ServerConnection connect() throws IOException {
    Endpoint endpoint = endpoint();
    Optional<Path> relay = Home.relay();
    return relay.isEmpty()
            || (endpoint.url().contains("https:") && endpoint.tls().authorities() == null)
        ? connectDirectly()
        : ServerConnection.through(Relay.start(relay.get(), endpoint), endpoint);
  }

  /** For what measures: no other process is between this one and the server. */
  ServerConnection connectDirectly() throws IOException {
    GRPC.setLevel(Level.SEVERE); // what it warns of is this command's to tell
    try {
      return new ServerConnection(endpoint());
    } catch (IllegalArgumentException e) {
      throw new Refusal(Kind.USAGE, String.valueOf(e.getMessage()));
    }
  }

  /** The same settings for a program with the extension, which has them in its environment. */
  Map<String, String> forTheExtension() {
    Endpoint endpoint = endpoint();
    Map<String, String> variables = new LinkedHashMap<>();
    variables.put("GRPSQLITE_URL", endpoint.url());
    put(variables, "GRPSQLITE_TOKEN", endpoint.token());
    put(variables, "GRPSQLITE_CA_FILE", endpoint.tls().authorities());
    put(variables, "GRPSQLITE_CERT_FILE", endpoint.tls().certificate());
    put(variables, "GRPSQLITE_KEY_FILE", endpoint.tls().key());
    return variables;
  }

  private static void put(Map<String, String> to, String name, @Nullable Object value) {
    if (value != null) {
      to.put(name, value.toString());
    }
  }

  static String clientName() {
    return "grpsqlite " + Main.version() + " (" + ProcessHandle.current().pid() + ")";
  }
}
