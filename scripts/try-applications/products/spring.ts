/** A Spring Boot project with these starters; `security` and `greeting` are Java. */
export function springProject(given: {
  version: string
  starters: string[]
  security: string
  greeting: string
}): Record<string, string> {
  const dependencies = ['spring-boot-starter-web', ...given.starters]
    .map(
      (name) =>
        `    <dependency><groupId>org.springframework.boot</groupId><artifactId>${name}</artifactId></dependency>`,
    )
    .join('\n')
  return {
    'pom.xml': `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>${given.version}</version>
    <relativePath/>
  </parent>
  <groupId>example</groupId>
  <artifactId>application</artifactId>
  <version>1</version>
  <properties><java.version>17</java.version></properties>
  <dependencies>
${dependencies}
  </dependencies>
  <build>
    <finalName>application</finalName>
    <plugins>
      <plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
      </plugin>
    </plugins>
  </build>
</project>
`,
    'src/main/java/example/SecurityConfig.java': given.security,
    'src/main/java/example/Application.java': `package example;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class Application {
  public static void main(String[] args) {
    SpringApplication.run(Application.class, args);
  }

  @GetMapping("/")
  String home(java.security.Principal principal) {
    return "Hello, " + ${given.greeting};
  }
}
`,
  }
}
