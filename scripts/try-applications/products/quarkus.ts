import { quarkusApi as preset } from '../../presets/apis.ts'
import type { ApiTrial, Trial } from '../trial.ts'

const pom = `<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId>
  <artifactId>application</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source>
    <maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <quarkus.version>3.33.2</quarkus.version>
  </properties>
  <dependencyManagement>
    <dependencies>
      <dependency>
        <groupId>io.quarkus</groupId>
        <artifactId>quarkus-bom</artifactId>
        <version>\${quarkus.version}</version>
        <type>pom</type>
        <scope>import</scope>
      </dependency>
    </dependencies>
  </dependencyManagement>
  <dependencies>
    <dependency><groupId>io.quarkus</groupId><artifactId>quarkus-rest</artifactId></dependency>
    <dependency><groupId>io.quarkus</groupId><artifactId>quarkus-oidc</artifactId></dependency>
  </dependencies>
  <build>
    <finalName>application</finalName>
    <plugins>
      <plugin>
        <groupId>io.quarkus</groupId>
        <artifactId>quarkus-maven-plugin</artifactId>
        <version>\${quarkus.version}</version>
        <executions><execution><goals><goal>build</goal></goals></execution></executions>
      </plugin>
    </plugins>
  </build>
</project>
`

const greeting = `package example;

import io.quarkus.oidc.OidcSession;
import io.quarkus.security.Authenticated;
import io.quarkus.security.identity.SecurityIdentity;
import jakarta.inject.Inject;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;

@Path("/")
@Authenticated
public class Greeting {
  @Inject SecurityIdentity identity;
  @Inject OidcSession session;

  @GET
  @Path("leave")
  public String leave() {
    session.logout().await().indefinitely();
    return "Good-bye";
  }

  @GET
  public String home() {
    return "Hello, " + identity.getPrincipal().getName();
  }
}
`

const project = {
  'pom.xml': pom,
  'src/main/java/example/Greeting.java': greeting,
  // One jar with all in it is the only form that a copy elsewhere keeps.
  'src/main/resources/application.properties':
    'quarkus.package.jar.type=uber-jar\nquarkus.package.jar.add-runner-suffix=false\n',
}

/** Signs nobody in: it takes access tokens. */
export const quarkusApi: ApiTrial = {
  async start(workshop) {
    const [file] = preset.files
    const jar = await workshop.maven('quarkus', project)
    await workshop.write(
      'config/application.properties',
      `${file?.lines(workshop.given)}\nquarkus.http.host=localhost\nquarkus.http.port=${workshop.port}\n`,
    )
    await workshop.serve('java', ['-Xmx256m', '-jar', jar])
    return 'Quarkus 3.33.2'
  },
}

export const quarkus: Trial = {
  async start(workshop) {
    const jar = await workshop.maven('quarkus', project)
    await workshop.write(
      'config/application.properties',
      `${workshop.lines}\nquarkus.http.host=localhost\nquarkus.http.port=${workshop.port}\n`,
    )
    await workshop.serve('java', ['-Xmx256m', '-jar', jar])
    return 'Quarkus 3.33.2'
  },
  login: '/',
  home: '/',
  logout: '/leave',
}
