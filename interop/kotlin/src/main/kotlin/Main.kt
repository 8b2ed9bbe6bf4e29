// Gets an access token with the generated client, uses it, and shows what each refusal looks like.
import com.example.domo.apis.OauthApi
import com.example.domo.infrastructure.ApiClient
import com.example.domo.infrastructure.ClientError
import com.example.domo.infrastructure.ClientException
import com.example.domo.infrastructure.Serializer
import com.example.domo.infrastructure.ServerException
import com.example.domo.models.AccessTokenResponse
import com.example.domo.models.TokenError
import java.time.Duration
import okhttp3.OkHttpClient
import okhttp3.Request

// OkHttp follows redirects by default; never follow one with the credentials.
private val http = OkHttpClient.Builder().followRedirects(false).callTimeout(Duration.ofSeconds(30)).build()

/** Asks once. Any answer without a token is a ClientException or a ServerException. */
fun requestToken(url: String, secret: String, scope: String): AccessTokenResponse {
    ApiClient.username = System.getenv("DOMO_CLIENT_ID")
    ApiClient.password = secret
    return OauthApi(url, http).getAccessToken(OauthApi.GrantTypeGetAccessToken.client_credentials, scope)
}

/** Returns the status of a refusal and its error, which has no fields if the body was not one. */
fun refusal(url: String, secret: String, scope: String): Pair<Int, TokenError> =
    try {
        requestToken(url, secret, scope)
        error("it was not refused")
    } catch (refused: ClientException) {
        refused.statusCode to parse((refused.response as? ClientError<*>)?.body as? String)
    } catch (refused: ServerException) {
        refused.statusCode to TokenError()
    }

// The exceptions have the body as text; the model parses it.
fun parse(body: String?): TokenError =
    runCatching { Serializer.moshi.adapter(TokenError::class.java).fromJson(body ?: "{}") }.getOrNull() ?: TokenError()

fun listDatasets(url: String, token: String): Pair<Int, Int> {
    val request = Request.Builder().url("$url/v1/datasets").header("Authorization", "Bearer $token").build()
    http.newCall(request).execute().use { answer ->
        val datasets = Serializer.moshi.adapter(List::class.java).fromJson(answer.body.string()).orEmpty()
        return answer.code to datasets.size
    }
}

fun main() {
    val url = System.getenv("DOMO_API_URL") ?: "https://api.domo.com"
    val secret = System.getenv("DOMO_CLIENT_SECRET")

    val token = requestToken(url, secret, "data user")
    println("token: customer ${token.customer}, role ${token.role}, scopes ${token.scope}")
    val (status, count) = listDatasets(url, token.accessToken)
    println("datasets: status $status, $count of them")

    // Refusals by the sandbox and by the server of recordings. Domo itself is not asked for errors.
    val errorUrl = System.getenv("DOMO_ERROR_URL") ?: return
    var refused = refusal(url, "wrong", "data")
    println("wrong secret: status ${refused.first}, ${refused.second.message}")
    refused = refusal(url, secret, "workflow2")
    println("wrong scope: status ${refused.first}, ${refused.second.error}")
    refused = refusal(errorUrl, secret, "data")
    println("Domo's own error: status ${refused.first}, toe ${refused.second.toe}")
    refused = refusal(System.getenv("DOMO_HTML_URL"), secret, "data")
    println("HTML: status ${refused.first}")
}
