package dev.grpsqlite.pageclient;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Where a server is, and how to speak to it. Immutable.
 *
 * @param url {@code http://HOST:PORT}, {@code https://HOST:PORT} or {@code unix:PATH}; or several,
 *     of servers that have one store, with commas between them
 * @param token sent with every call; null for none. Not in {@link #toString}
 * @param tls for {@code https}
 * @param connectTimeout how long the server may take to answer at all, when it is first called
 * @param timeout how long a call is tried again while the server is away
 */
public record Endpoint(
    String url, @Nullable String token, Tls tls, Duration connectTimeout, Duration timeout) {

  private static final Pattern COMMA = Pattern.compile(", *((?=https?://|unix:))?");

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
    for (String each : split(url)) {
      if (!each.startsWith("http://")
          && !each.startsWith("https://")
          && !each.startsWith("unix:")) {
        throw new IllegalArgumentException(
            "'" + each + "' is none of http://HOST:PORT, https://HOST:PORT, unix:PATH");
      }
    }
    if (split(url).stream().anyMatch(each -> each.startsWith("http:"))
        && split(url).stream().anyMatch(each -> each.startsWith("https:"))) {
      throw new IllegalArgumentException(
          "'" + url + "': http:// beside https:// would protect nothing");
    }
    if ((tls.certificate() == null) != (tls.key() == null)) {
      throw new IllegalArgumentException("a client's certificate and its key belong together");
    }
  }

  /** Each server's. */
  List<String> urls() {
    return split(url);
  }

  /** A comma ends the path of a Unix socket only if another address follows. */
  private static List<String> split(String list) {
    List<String> urls = new ArrayList<>();
    int begin = 0;
    Matcher comma = COMMA.matcher(list);
    while (comma.find()) {
      if (!list.startsWith("unix:", begin) || comma.group(1) != null) {
        urls.add(list.substring(begin, comma.start()));
        begin = comma.end();
      }
    }
    urls.add(list.substring(begin));
    return urls;
  }

  @Override
  public String toString() {
    return url;
  }
}
