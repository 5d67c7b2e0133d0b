import type { Trial } from '../trial.ts'

export const openidconnect: Trial = {
  async start(workshop) {
    const program = await workshop.rustProgram(
      'openidconnect',
      `openidconnect = { version = "=4.1.0", features = ["reqwest-blocking"] }
tiny_http = "=0.12.0"
`,
      `use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge,
    RedirectUrl, Scope, TokenResponse, reqwest,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http_client = reqwest::blocking::ClientBuilder::new()
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
${workshop.lines.replace(/^/gm, '    ')}
    let website = tiny_http::Server::http("localhost:${workshop.port}").unwrap();
    let mut verifier = Some(verifier);
    for request in website.incoming_requests() {
        let url = openidconnect::url::Url::parse("${workshop.url}")?.join(request.url())?;
        let find = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        if url.path() == "/login" {
            let location = tiny_http::Header::from_bytes("Location", authorization_url.as_str()).unwrap();
            request.respond(tiny_http::Response::empty(302).with_header(location))?;
        } else if url.path() == "/callback" {
            assert_eq!(find("state").as_ref(), Some(state.secret()));
            let answer = client
                .exchange_code(AuthorizationCode::new(find("code").unwrap()))?
                .set_pkce_verifier(verifier.take().unwrap())
                .request(&http_client)?;
            let claims = answer.id_token().unwrap().claims(&client.id_token_verifier(), &nonce)?;
            let greeting = format!("Hello, {}", claims.email().unwrap().as_str());
            request.respond(tiny_http::Response::from_string(greeting))?;
        } else {
            request.respond(tiny_http::Response::from_string("Not signed in"))?;
        }
    }
    Ok(())
}
`,
    )
    await workshop.serve(program, [])
    return 'openidconnect 4.1.0'
  },
  login: '/login',
}
