package dev.grpsqlite.server.launch;

import dev.grpsqlite.server.auth.Access;
import dev.grpsqlite.server.auth.AccessRules;
import dev.grpsqlite.server.auth.ClientAuthority;
import dev.grpsqlite.server.auth.PemException;
import dev.grpsqlite.server.auth.RulesSyntaxException;
import dev.grpsqlite.server.auth.ServerKey;
import dev.grpsqlite.server.auth.WatchedFiles;
import dev.grpsqlite.server.auth.WatchedFiles.Look;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a server knows its clients, and they it: from files that it looks at again and again. What
 * cannot be used when it starts is refused; what cannot be used later leaves things as they were.
 *
 * <p>Thread-safe, but for {@link #look}.
 */
public final class Security {
  private static final Logger log = LoggerFactory.getLogger(Security.class);

  /** Kinds of files, for logs and metrics. */
  enum Kind {
    TOKENS("tokens"),
    TLS("tls"),
    CLIENT_CA("client-ca");

    private final String label;

    Kind(String label) {
      this.label = label;
    }

    String label() {
      return label;
    }
  }

  /** Where the files are; what is null is not used. */
  public record Places(
      @Nullable Path tokens,
      @Nullable Path certificate,
      @Nullable Path key,
      @Nullable Path clientAuthority) {}

  private final Access access;
  private final @Nullable ServerKey key;
  private final @Nullable ClientAuthority authority;
  private final Map<Kind, WatchedFiles> files;

  private Security(
      Access access,
      @Nullable ServerKey key,
      @Nullable ClientAuthority authority,
      Map<Kind, WatchedFiles> files) {
    this.access = access;
    this.key = key;
    this.authority = authority;
    this.files = files;
  }

  /** Nobody is asked who it is, and nothing is encrypted. */
  public static Security none() {
    return by(Access.open());
  }

  /** Without files. */
  public static Security by(Access access) {
    return new Security(access, null, null, Map.of());
  }

  /**
   * Reads all the files.
   *
   * @throws IOException with one line for the operator
   */
  public static Security load(Places places) throws IOException {
    Map<Kind, WatchedFiles> files = new LinkedHashMap<>();
    Access access = Access.open();
    ServerKey key = null;
    ClientAuthority authority = null;
    List<Path> reading = List.of();
    try {
      if (places.tokens != null) {
        reading = List.of(places.tokens);
        List<byte[]> read = WatchedFiles.read(reading);
        Access byRules = Access.by(rules(read.get(0)));
        access = byRules;
        files.put(
            Kind.TOKENS,
            new WatchedFiles(reading, read, now -> byRules.replace(rules(now.get(0)))));
      }
      if (places.certificate != null && places.key != null) {
        reading = List.of(places.certificate, places.key);
        List<byte[]> read = WatchedFiles.read(reading);
        ServerKey shown = new ServerKey(read.get(0), read.get(1));
        key = shown;
        files.put(
            Kind.TLS,
            new WatchedFiles(reading, read, now -> shown.replace(now.get(0), now.get(1))));
      }
      if (places.clientAuthority != null) {
        reading = List.of(places.clientAuthority);
        List<byte[]> read = WatchedFiles.read(reading);
        ClientAuthority trusted = new ClientAuthority(read.get(0));
        authority = trusted;
        files.put(
            Kind.CLIENT_CA, new WatchedFiles(reading, read, now -> trusted.replace(now.get(0))));
      }
    } catch (IOException e) {
      throw new IOException("cannot read " + names(reading) + ": " + e, e);
    } catch (PemException | RulesSyntaxException e) {
      throw new IOException(names(reading) + ": " + e.getMessage(), e);
    }
    return new Security(access, key, authority, files);
  }

  private static AccessRules rules(byte[] file) throws RulesSyntaxException {
    return AccessRules.parse(new String(file, StandardCharsets.UTF_8));
  }

  private static String names(List<Path> paths) {
    return String.join(" and ", paths.stream().map(Path::toString).toList());
  }

  Access access() {
    return access;
  }

  /** Null: no TLS. */
  @Nullable ServerKey key() {
    return key;
  }

  /** Null: clients need no certificate. */
  @Nullable ClientAuthority authority() {
    return authority;
  }

  boolean asksWhoCalls() {
    return authority != null || access.asks();
  }

  /** What became of a file that changed. */
  record Change(Kind kind, boolean taken) {}

  /** Looks at the files. One thread at a time. */
  List<Change> look() {
    List<Change> changes = new ArrayList<>();
    files.forEach(
        (kind, watched) -> {
          Look look = watched.look();
          switch (look.outcome()) {
            case NOTHING_NEW -> {}
            case TAKEN -> {
              log.info("{} changed, and is used from now on", names(watched.paths()));
              changes.add(new Change(kind, true));
            }
            case REFUSED -> {
              log.error(
                  "{}: {}; what was read of it before stays in use",
                  names(watched.paths()),
                  look.problem());
              changes.add(new Change(kind, false));
            }
          }
        });
    return changes;
  }
}
