package dev.grpsqlite.pageclient;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What the extension takes as a server's URL, read as the extension reads it: {@code settings.c} of
 * {@code vfs-native/} has the same rules.
 */
final class ServerUrl {
  private static final String HTTP = "http://";
  private static final String HTTPS = "https://";
  private static final String UNIX = "unix:";
  private static final int HTTP_PORT = 50051;
  private static final int HTTPS_PORT = 443;
  private static final int MOST_PORT = 65_535;

  private static final Pattern COMMA = Pattern.compile(", *((?=https?://|unix:))?");
  private static final Pattern AUTHORITY =
      Pattern.compile("(\\[[0-9A-Fa-f:.]+(?:%[\\w.-]+)?]|[\\w.-]+)(?::(\\d{1,5}))?");

  private ServerUrl() {}

  /**
   * Reads one URL, or several with commas between them.
   *
   * @return each with its port
   * @throws IllegalArgumentException with what is wrong, and no password in it
   */
  static List<String> read(String list) {
    refuseUser(list);
    Set<String> urls = new LinkedHashSet<>();
    for (String each : split(list)) {
      String url = canonical(each);
      if (!urls.add(url)) {
        throw wrong(each, "it is there twice");
      }
    }
    if (urls.stream().anyMatch(each -> each.startsWith(HTTP))
        && urls.stream().anyMatch(each -> each.startsWith(HTTPS))) {
      throw wrong(list, "http:// beside https:// would protect nothing");
    }
    return List.copyOf(urls);
  }

  /** Before it is split: a password may have a comma. */
  private static void refuseUser(String list) {
    String rest = list;
    while (startsWith(rest, UNIX)) {
      Matcher comma = COMMA.matcher(rest);
      boolean another = false;
      while (!another && comma.find()) {
        another = comma.group(1) != null;
      }
      rest = another ? rest.substring(comma.end()) : "";
    }
    if (rest.indexOf('@') >= 0) {
      throw new IllegalArgumentException(
          "the server's URL has a user name; a token is given by itself, never in a URL");
    }
  }

  /** A comma ends the path of a Unix socket only if another address follows. */
  private static List<String> split(String list) {
    List<String> urls = new ArrayList<>();
    int begin = 0;
    Matcher comma = COMMA.matcher(list);
    while (comma.find()) {
      if (!startsWith(list.substring(begin), UNIX) || comma.group(1) != null) {
        urls.add(list.substring(begin, comma.start()));
        begin = comma.end();
      }
    }
    urls.add(list.substring(begin));
    return urls;
  }

  private static String canonical(String url) {
    if (startsWith(url, UNIX)) {
      if (url.length() == UNIX.length()) {
        throw wrong(url, "it names no socket");
      }
      return UNIX + url.substring(UNIX.length());
    }
    boolean secure = startsWith(url, HTTPS);
    if (!secure && !startsWith(url, HTTP)) {
      throw wrong(url, "it has no known scheme");
    }
    String scheme = secure ? HTTPS : HTTP;
    String authority = url.substring(scheme.length());
    if (authority.endsWith("/")) {
      authority = authority.substring(0, authority.length() - 1);
    }
    Matcher parts = AUTHORITY.matcher(authority);
    if (!parts.matches()) {
      throw wrong(url, "what follows " + scheme + " is not a host, or a host and a port");
    }
    String digits = parts.group(2);
    int port = digits != null ? Integer.parseInt(digits) : secure ? HTTPS_PORT : HTTP_PORT;
    if (port < 1 || port > MOST_PORT) {
      throw wrong(url, "a port is 1 to " + MOST_PORT);
    }
    return scheme + String.valueOf(parts.group(1)).toLowerCase(Locale.ROOT) + ":" + port;
  }

  private static boolean startsWith(String url, String scheme) {
    return url.regionMatches(true, 0, scheme, 0, scheme.length());
  }

  private static IllegalArgumentException wrong(String url, String why) {
    return new IllegalArgumentException(
        "'"
            + url
            + "' cannot be used as a server's URL: "
            + why
            + "; give http://HOST[:PORT], https://HOST[:PORT] or unix:PATH");
  }
}
