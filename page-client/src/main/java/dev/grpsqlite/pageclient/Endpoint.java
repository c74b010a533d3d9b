package dev.grpsqlite.pageclient;

import java.nio.file.Path;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * Where a server is, and how to speak to it. Immutable.
 *
 * @param url {@code http://HOST:PORT}, {@code https://HOST:PORT} or {@code unix:PATH}
 * @param token sent with every call; null for none. Not in {@link #toString}
 * @param tls for {@code https}
 * @param connectTimeout how long the server may take to answer at all, when it is first called
 * @param timeout how long a call is tried again while the server is away
 */
public record Endpoint(
    String url, @Nullable String token, Tls tls, Duration connectTimeout, Duration timeout) {

  /**
   * Files in PEM; null where the default does: the system's authorities, no certificate.
   *
   * @param authorities which the server's certificate has to be of
   * @param certificate the client's
   * @param key of that certificate
   */
  public record Tls(@Nullable Path authorities, @Nullable Path certificate, @Nullable Path key) {}

  public Endpoint {
    if (!url.startsWith("http://") && !url.startsWith("https://") && !url.startsWith("unix:")) {
      throw new IllegalArgumentException(
          "'" + url + "' is none of http://HOST:PORT, https://HOST:PORT, unix:PATH");
    }
    if ((tls.certificate() == null) != (tls.key() == null)) {
      throw new IllegalArgumentException("a client's certificate and its key belong together");
    }
  }

  @Override
  public String toString() {
    return url;
  }
}
