package dev.grpsqlite.server.auth;

import java.util.ArrayList;
import java.util.List;

/** The words of a line: between spaces, or in double quotes, where \" and \\ stand for " and \. */
final class Words {
  private Words() {}

  /**
   * Takes a line apart. A # where a word could begin starts a comment.
   *
   * @throws IllegalArgumentException with what is wrong
   */
  static List<String> of(String line) {
    List<String> words = new ArrayList<>();
    int i = 0;
    while (true) {
      while (i < line.length() && Character.isWhitespace(line.charAt(i))) {
        i++;
      }
      if (i == line.length() || line.charAt(i) == '#') {
        return words;
      }
      StringBuilder word = new StringBuilder();
      i = line.charAt(i) == '"' ? quoted(line, i + 1, word) : plain(line, i, word);
      if (i < line.length() && !Character.isWhitespace(line.charAt(i))) {
        throw new IllegalArgumentException("there is no space behind a closing quote");
      }
      words.add(word.toString());
    }
  }

  private static int plain(String line, int from, StringBuilder word) {
    int i = from;
    while (i < line.length() && !Character.isWhitespace(line.charAt(i))) {
      if (line.charAt(i) == '"') {
        throw new IllegalArgumentException("there is a quote within a word");
      }
      word.append(line.charAt(i++));
    }
    return i;
  }

  private static int quoted(String line, int from, StringBuilder word) {
    for (int i = from; i < line.length(); i++) {
      char c = line.charAt(i);
      if (c == '"') {
        return i + 1;
      }
      if (c == '\\') {
        i++;
        if (i == line.length() || (line.charAt(i) != '"' && line.charAt(i) != '\\')) {
          throw new IllegalArgumentException("behind a \\ comes \" or \\");
        }
      }
      word.append(line.charAt(i));
    }
    throw new IllegalArgumentException("a quote is not closed");
  }
}
