package dev.grpsqlite.jdbc;

import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.sqlite.SQLiteConfig;

/**
 * Which database at which server, and how: what a JDBC URL and its properties say.
 *
 * <p>Immutable. {@link #toString} and {@link #url} have no secrets, {@link #uri} has.
 *
 * @param server as the VFS takes it, {@code http://host:port}, or several with commas between them;
 *     null for the environment's, or the default
 * @param database its name at the server
 * @param vfs parameters of the VFS
 * @param sqlite properties of sqlite-jdbc
 */
record Target(
    @Nullable String server, String database, Map<String, String> vfs, Map<String, String> sqlite) {
  static final String PREFIX = "jdbc:grpsqlite:";

  static final String TOKEN = "token";
  private static final String SERVER = "server";
  private static final String TLS = "tls";

  /** They have no meaning without TLS; where one is given, the other end has to prove itself. */
  private static final Set<String> OF_TLS = Set.of("ca_file", "cert_file", "key_file");

  /** What the URI of the VFS takes. */
  private static final Set<String> OF_VFS =
      Set.of(
          TOKEN,
          "ca_file",
          "cert_file",
          "key_file",
          "connect_timeout_ms",
          "timeout_ms",
          "cache_mb",
          "cache_dir",
          "cache_dir_mb",
          "prefetch_mb",
          "buffer_mb",
          "max_batch_mb",
          "compression",
          "max_staleness_ms",
          "mode",
          "at",
          "version",
          "service");

  /** sqlite-jdbc's password would be the key of an encrypted file. Ours is the token. */
  private static final String PASSWORD = "password";

  private static final Set<String> OF_SQLITE =
      Arrays.stream(SQLiteConfig.Pragma.values())
          .map(SQLiteConfig.Pragma::getPragmaName)
          .filter(name -> !name.equals(PASSWORD) && !name.equals("hexkey_mode"))
          .collect(Collectors.toUnmodifiableSet());

  Target {
    vfs = Map.copyOf(vfs);
    sqlite = Map.copyOf(sqlite);
  }

  /**
   * Reads a URL; what the properties say goes before it.
   *
   * @throws SQLException with what is wrong, and no secret in it
   */
  static Target parse(String url, Properties properties) throws SQLException {
    if (!url.startsWith(PREFIX + "//")) {
      throw problem("a URL is " + PREFIX + "//HOST[:PORT][,…]/DATABASE[?NAME=VALUE&…]");
    }
    String rest = url.substring(PREFIX.length() + 2);
    int question = rest.indexOf('?');
    String place = question < 0 ? rest : rest.substring(0, question);
    int slash = place.indexOf('/');
    if (place.substring(0, slash < 0 ? place.length() : slash).indexOf('@') >= 0) {
      throw hasUser();
    }
    if (slash < 0) {
      throw problem("the URL names no database: " + PREFIX + "//" + place + "/DATABASE");
    }
    Map<String, String> given = new LinkedHashMap<>();
    if (question >= 0) {
      for (String parameter : rest.substring(question + 1).split("&", -1)) {
        int equals = parameter.indexOf('=');
        if (equals >= 0) {
          given.put(
              decoded(parameter.substring(0, equals)).toLowerCase(Locale.ROOT),
              decoded(parameter.substring(equals + 1)));
        } else if (!parameter.isEmpty()) {
          throw problem("a parameter of the URL is not NAME=VALUE");
        }
      }
    }
    for (String name : properties.stringPropertyNames()) {
      given.put(name.toLowerCase(Locale.ROOT), String.valueOf(properties.getProperty(name)));
    }
    return of(place.substring(0, slash), decoded(place.substring(slash + 1)), given);
  }

  private static Target of(String authority, String database, Map<String, String> given)
      throws SQLException {
    if (database.isEmpty()) {
      throw problem("the URL names no database: " + PREFIX + "//HOST[:PORT]/DATABASE");
    }
    String wrong = problemOfName(database);
    if (!wrong.isEmpty()) {
      throw problem(wrong);
    }
    given.remove("user");
    String password = given.remove(PASSWORD);
    if (password != null && !password.isEmpty()) {
      given.putIfAbsent(TOKEN, password);
    }
    String server = server(authority, given);
    Map<String, String> vfs = new TreeMap<>();
    Map<String, String> sqlite = new TreeMap<>();
    for (Map.Entry<String, String> each : given.entrySet()) {
      if (OF_VFS.contains(each.getKey())) {
        checkValue(each.getKey(), each.getValue());
        vfs.put(each.getKey(), each.getValue());
      } else if (OF_SQLITE.contains(each.getKey())) {
        sqlite.put(each.getKey(), each.getValue());
      } else {
        throw problem(
            "there is no property '"
                + each.getKey()
                + "'; there are "
                + String.join(", ", names())
                + ", and sqlite-jdbc's own");
      }
    }
    return new Target(server, database, vfs, sqlite);
  }

  /** SQLite, which reads the URI before the VFS does, ends a value at a NUL. */
  private static void checkValue(String name, String value) throws SQLException {
    if (value.indexOf('\0') >= 0) {
      throw problem("the value of " + name + " has a NUL in it");
    }
    if (name.equals("mode") && value.equals("memory")) {
      throw problem("mode=memory would be a database in memory, not one at the server");
    }
  }

  /** Why SQLite would open something else by this name; empty if it would not. */
  static String problemOfName(String database) {
    if (database.isEmpty()) {
      return "a database has a name";
    }
    if (database.indexOf('\0') >= 0) {
      return "a database's name has no NUL in it";
    }
    if (database.equals(":memory:")) {
      return "what is called :memory: SQLite keeps in memory, not at the server";
    }
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(database)) {
      return "a database's name is Unicode, and half of a surrogate pair is not";
    }
    return "";
  }

  private static SQLException hasUser() {
    return problem("a URL has no user; give the token as a property, or as ?token=");
  }

  private static @Nullable String server(String authority, Map<String, String> given)
      throws SQLException {
    String server = given.remove(SERVER);
    String tls = given.remove(TLS);
    if (server != null && !server.startsWith("unix:") && server.indexOf('@') >= 0) {
      throw hasUser();
    }
    if (tls != null && !tls.equals("true") && !tls.equals("false")) {
      throw problem("tls= is true or false");
    }
    boolean certificates =
        OF_TLS.stream().anyMatch(name -> !given.getOrDefault(name, "").isEmpty());
    if (authority.isEmpty()) {
      if (tls != null) {
        throw problem("tls= is for a server in the URL's HOST:PORT; server= begins with https://");
      }
      return server;
    }
    if (server != null) {
      throw problem("the server is named twice: as HOST:PORT and as server=");
    }
    if (certificates && "false".equals(tls)) {
      throw problem("tls=false, and a certificate: one of the two is not meant");
    }
    String scheme = certificates || "true".equals(tls) ? "https://" : "http://";
    return Arrays.stream(authority.split(",", -1))
        .map(each -> scheme + each)
        .collect(Collectors.joining(","));
  }

  /** Of all properties but sqlite-jdbc's. */
  static Set<String> names() {
    Set<String> names = new TreeSet<>(OF_VFS);
    names.add(SERVER);
    names.add(TLS);
    return names;
  }

  private static SQLException problem(String what) {
    return new SQLException(what, "08001");
  }

  private static String decoded(String text) throws SQLException {
    try {
      // A plus is a plus: these are no forms.
      return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    } catch (IllegalArgumentException e) {
      throw problem("a '%' in the URL is not followed by two hexadecimal digits");
    }
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }

  Target withDatabase(String other) {
    return new Target(server, other, vfs, sqlite);
  }

  Target withToken(String token) {
    Map<String, String> changed = new TreeMap<>(vfs);
    changed.put(TOKEN, token);
    return new Target(server, database, changed, sqlite);
  }

  /** What SQLite opens, or attaches. Has the token in it. */
  String uri() {
    StringBuilder uri = new StringBuilder("file:").append(encodedName()).append("?vfs=grpsqlite");
    if (server != null) {
      uri.append("&server=").append(encoded(server));
    }
    new TreeMap<>(vfs)
        .forEach((name, value) -> uri.append('&').append(name).append('=').append(encoded(value)));
    return uri.toString();
  }

  /** Without the scheme that all of them have, HOST[:PORT][,…]; null if that is no URL's. */
  private static @Nullable String authority(@Nullable String servers, String scheme) {
    if (servers == null || servers.indexOf(' ') >= 0) {
      return null;
    }
    String[] each = servers.split(",", -1);
    for (int i = 0; i < each.length; i++) {
      if (!each[i].startsWith(scheme) || each[i].indexOf('/', scheme.length()) >= 0) {
        return null;
      }
      each[i] = each[i].substring(scheme.length());
    }
    return String.join(",", each);
  }

  /** The JDBC URL, without secrets and without what is sqlite-jdbc's. */
  String url() {
    String secure = authority(server, "https://");
    String authority = secure != null ? secure : authority(server, "http://");
    StringBuilder url = new StringBuilder(PREFIX).append("//");
    if (authority != null) {
      url.append(authority);
    }
    url.append('/').append(encodedName());
    Map<String, String> shown = new TreeMap<>(vfs);
    shown.remove(TOKEN);
    if (secure != null) {
      shown.put(TLS, "true");
    } else if (server != null && authority == null) {
      shown.put(SERVER, server);
    }
    char before = '?';
    for (Map.Entry<String, String> each : shown.entrySet()) {
      url.append(before).append(each.getKey()).append('=').append(encoded(each.getValue()));
      before = '&';
    }
    return url.toString();
  }

  private String encodedName() {
    return encoded(database).replace("%2F", "/");
  }

  /** For sqlite-jdbc. */
  Properties properties() {
    Properties properties = new Properties();
    properties.putAll(sqlite);
    return properties;
  }

  @Override
  public String toString() {
    return url();
  }
}
