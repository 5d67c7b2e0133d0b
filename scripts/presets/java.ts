import type { ApplicationPreset, Given } from './preset.ts'

const springYaml = ({ issuer, client_id, client_secret }: Given) => `spring:
  security:
    oauth2:
      client:
        registration:
          auth-agent:
            client-id: ${client_id}
            client-secret: ${client_secret}
            scope: openid, email
        provider:
          auth-agent:
            issuer-uri: ${issuer}
            user-name-attribute: email`

const springPkce = `package example;

import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.config.Customizer;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.web.DefaultOAuth2AuthorizationRequestResolver;
import org.springframework.security.oauth2.client.web.OAuth2AuthorizationRequestCustomizers;
import org.springframework.security.web.SecurityFilterChain;

@Configuration
class SecurityConfig {
  @Bean
  SecurityFilterChain login(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
    var resolver = new DefaultOAuth2AuthorizationRequestResolver(clients, "/oauth2/authorization");
    resolver.setAuthorizationRequestCustomizer(OAuth2AuthorizationRequestCustomizers.withPkce());
    return http
        .authorizeHttpRequests(requests -> requests.anyRequest().authenticated())
        .oauth2Login(login ->
            login.authorizationEndpoint(endpoint -> endpoint.authorizationRequestResolver(resolver)))
        .oauth2Client(Customizer.withDefaults())
        .build();
  }
}`

export const springBoot3: ApplicationPreset = {
  title: 'Spring Boot 3 (login)',
  version: '3.5.7',
  redirect: '/login/oauth2/code/auth-agent',
  registration: { refresh_reuse_grace: 30 },
  files: [
    { name: 'application.yml', language: 'yaml', lines: springYaml },
    { name: 'SecurityConfig.java', language: 'java', lines: () => springPkce },
  ],
  notes: [
    'PKCE comes with the class, and without it no sign-in starts.',
    "`Principal.getName()` is the owner's address, by `user-name-attribute`; `sub` is the agent's id.",
    'Spring Security refreshes in parallel: the preset gives it a grace of 30 seconds.',
  ],
}

export const springBoot4: ApplicationPreset = {
  title: 'Spring Boot 4 (login)',
  version: '4.0.7',
  redirect: '/login/oauth2/code/auth-agent',
  registration: { refresh_reuse_grace: 30 },
  files: [{ name: 'application.yml', language: 'yaml', lines: springYaml }],
  notes: [
    'PKCE is on by default.',
    "`Principal.getName()` is the owner's address, by `user-name-attribute`; `sub` is the agent's id.",
    'Spring Security refreshes in parallel: the preset gives it a grace of 30 seconds.',
  ],
}

export const quarkus: ApplicationPreset = {
  title: 'Quarkus',
  version: '3.33.2',
  redirect: '/callback',
  registration: { refresh_reuse_grace: 30 },
  files: [
    {
      name: 'application.properties',
      language: 'properties',
      lines: ({ issuer, client_id, client_secret }) => `quarkus.oidc.auth-server-url=${issuer}
quarkus.oidc.client-id=${client_id}
quarkus.oidc.credentials.secret=${client_secret}
quarkus.oidc.application-type=web-app
quarkus.oidc.authentication.scopes=openid,email
quarkus.oidc.authentication.pkce-required=true
quarkus.oidc.authentication.redirect-path=/callback
quarkus.oidc.authentication.restore-path-after-redirect=true
quarkus.oidc.token.principal-claim=email`,
    },
  ],
  notes: [
    'Without `pkce-required` no sign-in starts.',
    "The principal's name is the owner's address, by `principal-claim`.",
    '`OidcSession.logout()` ends its own session, not the sign-in here.',
    'It refreshes in parallel where `token.refresh-expired` is set: the preset gives it a grace of 30 seconds.',
  ],
}
