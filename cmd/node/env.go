package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envAnnotation marks a flag that has a twin in the environment, and names it.
const envAnnotation = "torc_env"

// envNames are the twins that are not just the flag's name in capitals.
var envNames = map[string]string{"http": "TORC_HTTP_ADDR", "consul": "CONSUL_HTTP_ADDR"}

// fromEnv gives flags a twin in the environment, and says so in their usage.
func fromEnv(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		variable, ok := envNames[name]
		if !ok {
			variable = "TORC_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		}
		f := flags.Lookup(name)
		f.Usage += " [$" + variable + "]"
		f.Annotations = map[string][]string{envAnnotation: {variable}}
	}
}

// applyEnv sets the flags that the command line leaves open from their twins.
func applyEnv(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		variable := f.Annotations[envAnnotation]
		if err != nil || f.Changed || variable == nil {
			return
		}
		value := os.Getenv(variable[0])
		if value == "" {
			return
		}
		if wrong := flags.Set(f.Name, value); wrong != nil {
			err = usagef("environment variable %s: %w", variable[0], wrong)
		}
	})
	return err
}

// logLevel is the flag --log-level.
func logLevelFlag(flags *pflag.FlagSet, level *logLevel, otherwise string) {
	_ = level.Set(otherwise)
	flags.Var(level, "log-level", "debug, info, warn or error; the log goes to standard error")
	fromEnv(flags, "log-level")
}

// completeWords offers fixed words for a flag in shells.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}
