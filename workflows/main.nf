// Picks the tomograms of a project in parallel jobs of Nextflow, and writes the picks for RELION 5.
//
//     nextflow run workflows/main.nf --project my-data
//
// More values: --output FOLDER, --shards N (jobs), --pick "MORE OPTIONS OF tomosoup pick". A job picks a share of the
// tomograms. After a failure the same command with -resume picks what is missing.

params.project = null
params.output = 'picks'
params.shards = 4
params.pick = ''

process pick {
    cpus 4

    input:
    val shard
    val project
    val output

    output:
    val shard

    script:
    """
    OMP_NUM_THREADS=${task.cpus} tomosoup pick '${project}' --output '${output}/picks.csv' ${params.pick} --shard ${shard}/${params.shards}
    """
}

process relion {
    input:
    val done
    val project
    val output

    script:
    """
    tomosoup pick '${project}' --output '${output}/picks.csv' ${params.pick}
    mkdir -p '${output}/relion5'
    tomosoup export '${output}/picks.csv' --project '${project}' --format relion5 -o '${output}/relion5/{species}.star' --overwrite
    """
}

workflow {
    if (params.project == null) {
        error 'Expected --project and a project of tomosoup, such as a folder of MRC files.'
    }
    def project = file(params.project).toAbsolutePath()
    def output = file(params.output).toAbsolutePath()
    pick(channel.of(1..params.shards), project, output)
    relion(pick.out.collect(), project, output)
}
