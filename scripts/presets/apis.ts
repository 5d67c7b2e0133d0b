import type { PresetFile } from './preset.ts'

/** A framework for APIs that accept our access tokens; it needs a resource here and no client. */
export interface ApiPreset {
  title: string
  version: string
  /** The URL is the API's own, as its resource is registered. */
  files: PresetFile[]
  notes: string[]
}

export const springApi: ApiPreset = {
  title: 'Spring Boot (API)',
  version: '4.0.7 and 3.5.7',
  files: [
    {
      name: 'SecurityConfig.java',
      language: 'java',
      lines: ({ issuer, url }) => `package example;

import java.util.List;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.core.DelegatingOAuth2TokenValidator;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.jwt.JwtClaimValidator;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtIssuerValidator;
import org.springframework.security.oauth2.jwt.JwtTimestampValidator;
import org.springframework.security.oauth2.jwt.JwtTypeValidator;
import org.springframework.security.oauth2.jwt.NimbusJwtDecoder;
import org.springframework.security.web.SecurityFilterChain;

@Configuration
class SecurityConfig {
  @Bean
  JwtDecoder jwtDecoder() {
    var decoder = NimbusJwtDecoder.withJwkSetUri("${issuer}/.well-known/jwks.json")
        .jwsAlgorithm(SignatureAlgorithm.ES256)
        .validateType(false)
        .build();
    decoder.setJwtValidator(new DelegatingOAuth2TokenValidator<>(
        new JwtTypeValidator(List.of("at+jwt")),
        new JwtTimestampValidator(),
        new JwtIssuerValidator("${issuer}"),
        new JwtClaimValidator<List<String>>("aud", aud -> aud != null && aud.contains("${url}"))));
    return decoder;
  }

  @Bean
  SecurityFilterChain api(HttpSecurity http) throws Exception {
    return http
        .authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .oauth2ResourceServer(server -> server.jwt(Customizer.withDefaults()))
        .build();
  }
}`,
    },
  ],
  notes: [
    'Tokens of the issuer, of another API and ID Tokens are answered 401.',
    '`Principal.getName()` is the id of the agent, or of a client that acts for itself.',
  ],
}

export const kubernetes: ApiPreset = {
  title: 'Kubernetes (API server)',
  version: 'k8s.io/apiserver 0.37.2',
  files: [
    {
      name: 'authentication-config.yaml',
      language: 'yaml',
      lines: ({ issuer, url }) => `apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
jwt:
- issuer:
    url: ${issuer}
    audiences: ["${url}"]
  claimMappings:
    username:
      expression: '"agent:" + claims.sub'
    groups:
      expression: 'claims.?scope.orValue("").split(" ").map(scope, "auth-agent:" + scope)'
    extra:
    - key: auth-agent.example/model
      valueExpression: 'claims.?model.orValue("")'`,
    },
  ],
  notes: [
    'Given to the API server with `--authentication-config`; what was tried is its authenticator, with a real token and key set over https. A private CA goes under `issuer` as `certificateAuthority`.',
    'A claim that a token may lack is read with `claims.?NAME.orValue("")`, as here.',
    "The user is the agent's id, or that of a client that acts for itself. Access tokens tell no e-mail address.",
    'Tokens of the issuer, of another API and ID Tokens are refused, by their audience.',
  ],
}

export const quarkusApi: ApiPreset = {
  title: 'Quarkus (API)',
  version: '3.33.2',
  files: [
    {
      name: 'application.properties',
      language: 'properties',
      lines: ({ issuer, url }) => `quarkus.oidc.auth-server-url=${issuer}
quarkus.oidc.application-type=service
quarkus.oidc.token.token-type=at+jwt
quarkus.oidc.token.audience=${url}
quarkus.oidc.token.principal-claim=sub`,
    },
  ],
  notes: [
    'Tokens of the issuer, of another API and ID Tokens are answered 401.',
    'The principal is the id of the agent, or of a client that acts for itself, by `principal-claim`.',
  ],
}

/** By the name of their trial. */
export const APIS: Record<string, ApiPreset> = {
  'spring-api': springApi,
  'quarkus-api': quarkusApi,
  kubernetes,
}
