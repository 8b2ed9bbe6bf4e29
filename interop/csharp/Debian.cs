// Only for the Newtonsoft.Json 6 of Debian: leave this file out with version 9 or newer. The generated code sets a naming
// strategy, which version 6 lacks; it has no effect here, as each field has its own name.
namespace Domo
{
    class DefaultContractResolver : Newtonsoft.Json.Serialization.DefaultContractResolver
    {
        public CamelCaseNamingStrategy NamingStrategy { get; set; }
    }

    class CamelCaseNamingStrategy
    {
        public bool OverrideSpecifiedNames { get; set; }
    }
}
