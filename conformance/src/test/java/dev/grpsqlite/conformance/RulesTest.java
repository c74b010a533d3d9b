package dev.grpsqlite.conformance;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The rules as documents. */
class RulesTest {
  @Test
  void theDocumentIsWhatTheKitChecks() throws Exception {
    Path document = Path.of(System.getProperty("grpsqlite.root"), "docs", "rules.md");
    assertEquals(
        Rules.document(),
        Files.readString(document),
        "write it again: dist/bin/grpsqlite-conformance --document > docs/rules.md");
  }

  @Test
  void whatTheGuideNamesAreRules() throws Exception {
    Path guide = Path.of(System.getProperty("grpsqlite.root"), "docs", "writing-a-backend.md");
    Set<String> named = new TreeSet<>();
    Matcher number = Pattern.compile("FILE-\\d\\d").matcher(Files.readString(guide));
    while (number.find()) {
      named.add(number.group());
    }
    assertTrue(named.size() > 10, named.toString());
    for (Rule rule : Rules.ALL) {
      named.remove(rule.number());
    }
    assertEquals(Set.of(), named);
  }

  @Test
  void numbersAscendAndTextsAreSentences() {
    String before = "";
    for (Rule rule : Rules.ALL) {
      String service = rule.number().replaceAll("-.*", "");
      assertTrue(
          !before.startsWith(service + "-") || before.compareTo(rule.number()) < 0,
          rule.number() + " comes after " + before);
      assertTrue(
          List.of("FILE", "PAGE", "ADMIN").contains(service)
              && rule.number().matches("[A-Z]+-\\d{2}"),
          rule.number());
      assertTrue(rule.text().endsWith(".") && !rule.text().contains("  "), rule.text());
      assertEquals(
          service.equals("FILE") ? Service.FILE : Service.PAGE,
          rule.need().service(),
          rule.number());
      before = rule.number();
    }
  }
}
