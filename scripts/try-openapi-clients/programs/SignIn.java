import com.google.gson.Gson;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.AgentsApi;
import org.openapitools.client.api.RegistrationApi;
import org.openapitools.client.api.SignInApi;
import org.openapitools.client.api.TokensApi;
import org.openapitools.client.model.AuthenticateAgentRequest;
import org.openapitools.client.model.RegisterClientRequest;

/** A whole sign-in with the Java client that openapi-generator makes. */
public class SignIn {
  public static void main(String[] given) throws Exception {
    String redirectUri = "https://site.example/callback";
    ApiClient server = new ApiClient();
    server.setBasePath(given[0]);
    TokensApi tokens = new TokensApi(server);
    SignInApi signIn = new SignInApi(server);

    var client = new RegistrationApi(server).registerClient(
        new RegisterClientRequest().clientName("Generated").redirectUris(List.of(redirectUri))
            .grantTypes(List.of("authorization_code", "refresh_token")));
    String id = client.getClientId();
    String secret = client.getClientSecret();

    Base64.Encoder base64url = Base64.getUrlEncoder().withoutPadding();
    byte[] random = new byte[32];
    new SecureRandom().nextBytes(random);
    String verifier = base64url.encodeToString(random);
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(verifier.getBytes(StandardCharsets.US_ASCII));
    var opened = signIn.openAuthorizationRequest(
        id, "code", base64url.encodeToString(digest), redirectUri, "S256", "openid email offline_access",
        null, null, null, null, null, null, null, null, null, null);
    var authenticated = new AgentsApi(server).authenticateAgent(new AuthenticateAgentRequest()
        .requestId(opened.getRequestId()).agentId(given[1]).agentSecret(given[2])
        .model("gpt-4o").deliver(AuthenticateAgentRequest.DeliverEnum.AGENT));
    String query = URI.create(authenticated.getAuthenticateAgent200ResponseAnyOf().getRedirectTo()).getQuery();
    String code = query.replaceFirst("^(.*&)?code=([^&]*).*", "$2");

    var redeemed = tokens.requestToken(
        "authorization_code", code, verifier, redirectUri, null, id, secret, null, null, null, null);
    server.setBearerToken(redeemed.getAccessToken());
    String email = signIn.readUserinfo().getEmail();
    var refreshed = tokens.requestToken(
        "refresh_token", null, null, null, null, id, secret, null, null, redeemed.getRefreshToken(), null);
    boolean active = tokens.introspectToken(refreshed.getAccessToken(), null, id, secret, null, null).getActive();
    tokens.revokeToken(refreshed.getRefreshToken(), null, id, secret, null, null);
    boolean afterwards =
        tokens.introspectToken(refreshed.getAccessToken(), null, id, secret, null, null).getActive();
    Object refused = null;
    try {
      signIn.readUserinfo();
    } catch (ApiException refusal) {
      refused = new Gson().fromJson(refusal.getResponseBody(), Map.class).get("error");
    }
    Map<String, Object> outcome = new TreeMap<>();
    outcome.put("email", email);
    outcome.put("active", active);
    outcome.put("afterwards", afterwards);
    outcome.put("refused", refused);
    System.out.println(new Gson().toJson(outcome));
  }
}
