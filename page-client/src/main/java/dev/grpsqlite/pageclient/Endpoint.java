package dev.grpsqlite.pageclient;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Where a server is, and how to speak to it. Immutable.
 *
 * @param url {@code http://HOST[:PORT]}, {@code https://HOST[:PORT]} or {@code unix:PATH}; or
 *     several, of servers that have one store, with commas between them. The extension's default
 *     ports, 50051 and 443, are put where none is
 * @param token sent with every call; null for none. Not in {@link #toString}
 * @param tls for {@code https}
 * @param connectTimeout how long the server may take to answer at all, when it is first called
 * @param timeout how long a call is tried again while the server is away
 */
public record Endpoint(
    String url, @Nullable String token, Tls tls, Duration connectTimeout, Duration timeout) {

  /** To load classes with, not to be called. */
  static final Endpoint NOBODY =
      new Endpoint(
          "http://localhost",
          null,
          new Tls(null, null, null),
          Duration.ofSeconds(1),
          Duration.ofSeconds(1));

  /**
   * Files in PEM; null where the default does: the system's authorities, no certificate.
   *
   * @param authorities which the server's certificate has to be of
   * @param certificate the client's
   * @param key of that certificate
   */
  public record Tls(@Nullable Path authorities, @Nullable Path certificate, @Nullable Path key) {}

  public Endpoint {
    url = String.join(",", ServerUrl.read(url));
    if ((tls.certificate() == null) != (tls.key() == null)) {
      throw new IllegalArgumentException("a client's certificate and its key belong together");
    }
  }

  /** Each server's, with its port. */
  List<String> urls() {
    return ServerUrl.read(url);
  }

  @Override
  public String toString() {
    return url;
  }
}
